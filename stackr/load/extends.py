"""`extends`: services that build on another one, of their file or of another."""

import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stackr_schemas.errors import StackrError

from stackr.load.merge import Unmergeable, merged, merged_service
from stackr.load.paths import Paths
from stackr.load.problem import LoadError, display_name
from stackr.load.tree import Map, Mark, copied
from stackr.load.unique import enforce

if TYPE_CHECKING:
    from stackr.load.include import Scope
    from stackr.load.layers import Layers


@dataclass
class Extender:
    """Applies `extends` in one file."""

    layers: "Layers"
    path: str
    scope: "Scope"
    sources: dict[str, Map] = field(default_factory=dict)

    def extend(self, tree: Map) -> None:
        """Replace every service that extends another by the merge of both."""
        services = tree.get("services")
        if not isinstance(services, Map):
            return
        for name in list(services):
            services[name] = self._extended(name, services, self.path, ())

    def _extended(
        self, name: str, services: Map, path: str, chain: tuple[tuple[str, str], ...]
    ) -> Any:
        service = services[name]
        extends = service.get("extends") if isinstance(service, Map) else None
        if not isinstance(extends, Map) or not isinstance(extends.get("service"), str):
            return service
        mark = service.marks.get("extends")
        if (path, name) in chain:
            self._cycle([*chain, (path, name)], mark)
            return service
        source, source_path = services, path
        if isinstance(extends.get("file"), str):
            found = self._source(extends["file"], mark, name)
            if found is None:
                return service
            source, source_path = found
        return self._merged(
            name, service, extends["service"], (source, source_path), (*chain, (path, name))
        )

    def _merged(
        self,
        name: str,
        service: Map,
        wanted: str,
        source: tuple[Map, str],
        chain: tuple[tuple[str, str], ...],
    ) -> Any:
        services, path = source
        mark = service.marks.get("extends")
        if wanted not in services:
            file = display_name(path, self.layers.options.cwd)
            known = ", ".join(services) or "none"
            message = f"cannot extend {wanted!r}: {file} has no such service"
            self.layers.report.add(mark, f"services.{name}.extends", message, f"it has: {known}")
            return service
        base = self._extended(wanted, services, path, chain)
        if not isinstance(base, Map):
            return service
        try:
            found = merged_service(copied(base), service, path == self.path)
        except Unmergeable as error:
            self.layers.report.add(error.mark or mark, f"services.{name}.extends", str(error))
            return service
        found.drop("extends")
        return found

    def _source(self, file: str, mark: Mark | None, name: str) -> tuple[Map, str] | None:
        """Load the services of another file; paths in it are made relative to this one's folder."""
        options = self.layers.options
        path = posixpath.normpath(posixpath.join(self.scope.folder, file))
        if path not in self.sources:
            try:
                trees = [
                    self.layers.interpolated(document, self.scope)
                    for document in self.layers.documents(path)
                ]
            except LoadError:
                raise
            except StackrError as error:
                self.layers.report.add(mark, f"services.{name}.extends.file", error.message)
                return None
            tree = Map()
            for one in trees:
                tree = merged(tree, one)
            enforce(tree)
            folder = posixpath.dirname(path)
            base = folder if file.startswith("/") else posixpath.relpath(folder, self.scope.folder)
            Paths(base, options.environment.get("HOME", "")).resolve(tree)
            services = tree.get("services")
            self.sources[path] = services if isinstance(services, Map) else Map()
        return self.sources[path], path

    def _cycle(self, chain: list[tuple[str, str]], mark: Mark | None) -> None:
        start = chain.index(chain[-1])
        steps = " extends ".join(name for _, name in chain[start:])
        self.layers.report.add(mark, f"services.{chain[-1][1]}.extends", f"cycle: {steps}")
