"""Files to one tree: each is interpolated, extended, completed by its includes, merged."""

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stackr_schemas.errors import StackrError

from stackr.load.canonical import canonicalize
from stackr.load.discover import STDIN
from stackr.load.dotenv import parse_env
from stackr.load.files import Files
from stackr.load.interpolate import Interpolation
from stackr.load.merge import Unmergeable, merged, merged_service
from stackr.load.options import LoadOptions
from stackr.load.parse import parse
from stackr.load.paths import Paths
from stackr.load.problem import LoadError, Report, display_name
from stackr.load.tree import Map, Mark, Seq, copied, dotted
from stackr.load.unique import enforce

SECTIONS = ("services", "volumes", "networks", "secrets", "configs", "models")


@dataclass(frozen=True)
class Scope:
    """What holds for a set of files: the folder of relative paths, variables, what led here."""

    folder: str
    environment: dict[str, str]
    chain: tuple[str, ...] = ()
    does_include: bool = True


@dataclass
class Layers:
    """Reads and merges the files of one stack."""

    options: LoadOptions
    files: Files
    report: Report
    values: dict[str, str] = field(default_factory=dict)
    """The values of configs and secrets that come from variables, by `secrets.NAME`."""
    parsed: dict[str, list[Map]] = field(default_factory=dict)
    interpolation: Interpolation = field(init=False)

    def __post_init__(self) -> None:
        self.interpolation = Interpolation(None, self.report)

    def tree(self, paths: tuple[str, ...], scope: Scope) -> Map:
        """Merge files into one tree; problems go to the report, only fatal ones are raised."""
        tree = Map()
        for path in paths:
            for document in self.documents(path):
                layer = self._layer(document, path, scope)
                try:
                    tree = merged(tree, layer)
                except Unmergeable as error:
                    self.report.add(error.mark, dotted(error.path), str(error))
                enforce(tree)
        self._note_values(tree, scope)
        return tree

    def documents(self, path: str) -> list[Map]:
        """Parse a file, once."""
        if path not in self.parsed:
            text = self.options.stdin if path == STDIN else self.files.read(path)
            name = "<stdin>" if path == STDIN else display_name(path, self.options.cwd)
            self.parsed[path] = parse(text, name, self.report)
        return self.parsed[path]

    def interpolated(self, document: Map, scope: Scope) -> Map:
        """Copy a document with its variables replaced and its short forms made long."""
        lookup = scope.environment.get if self.options.interpolate else None
        self.interpolation.lookup = lookup
        tree: Map = self.interpolation.copy(document)
        canonicalize(tree, self.report)
        return tree

    def _layer(self, document: Map, path: str, scope: Scope) -> Map:
        tree = self.interpolated(document, scope)
        Extender(self, path, scope).extend(tree)
        if "version" in tree:
            name = display_name(path, self.options.cwd)
            self.report.warn(
                f"{name}: the attribute `version` is obsolete, it will be ignored, "
                "please remove it to avoid potential confusion"
            )
        if scope.does_include and isinstance(tree.get("include"), Seq):
            self._include(tree, path, scope)
        return tree

    def _include(self, tree: Map, path: str, scope: Scope) -> None:
        includes = tree["include"]
        for item, mark in includes.placed():
            wanted = _include_of(item)
            if wanted is None:
                continue
            inner = Inclusion(self, wanted, scope, path, mark).tree()
            if inner is not None:
                self._import(inner, tree, mark)
        if all(_include_of(item) is not None for item in includes):
            tree.drop("include")

    def _import(self, inner: Map, tree: Map, mark: Mark | None) -> None:
        for section in SECTIONS:
            resources = inner.get(section)
            if not isinstance(resources, Map):
                continue
            if not isinstance(tree.get(section), Map):
                tree.put(section, Map(mark), mark)
            for name, resource in resources.items():
                if name not in tree[section]:
                    tree[section].put(name, resource, resources.marks[name])
                elif tree[section][name] != resource:
                    self.report.add(
                        tree[section].marks[name],
                        f"{section}.{name}",
                        "conflicts with an included one",
                        "to change that, include a list of paths: the file and an override",
                    )

    def _note_values(self, tree: Map, scope: Scope) -> None:
        _resolve_listed(tree, scope.environment)
        for section in ("secrets", "configs"):
            resources = tree.get(section)
            for name, resource in resources.items() if isinstance(resources, Map) else ():
                variable = resource.get("environment") if isinstance(resource, Map) else None
                if isinstance(variable, str) and variable in scope.environment:
                    self.values.setdefault(f"{section}.{name}", scope.environment[variable])


def _resolve_listed(tree: Map, environment: dict[str, str]) -> None:
    """Give `- NAME` entries of `environment` the value that holds where they are written."""
    services = tree.get("services")
    for service in services.values() if isinstance(services, Map) else ():
        listed = service.get("environment") if isinstance(service, Map) else None
        if isinstance(listed, Seq):
            listed[:] = [
                f"{item}={environment[item]}"
                if isinstance(item, str) and item in environment
                else item
                for item in listed
            ]


@dataclass(frozen=True)
class Include:
    """One entry of `include`."""

    path: tuple[str, ...]
    env_file: tuple[str, ...]
    project_directory: str


def _include_of(item: Any) -> Include | None:
    if not isinstance(item, Map):
        return None
    path, env_file = _texts(item.get("path")), _texts(item.get("env_file"))
    directory = item.get("project_directory", "")
    if not path or env_file is None or not isinstance(directory, str):
        return None
    return Include(path, env_file, directory)


def _texts(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return ()
    items = [value] if isinstance(value, str) else value
    is_list = isinstance(items, list) and all(isinstance(item, str) for item in items)
    return tuple(items) if is_list else None


@dataclass
class Inclusion:
    """Loads what one entry of `include` names."""

    layers: Layers
    wanted: Include
    scope: Scope
    path: str
    mark: Mark | None

    def tree(self) -> Map | None:
        """Load the included files; None after a problem."""
        paths = tuple(self._absolute(path) for path in self.wanted.path)
        chain = (*self.scope.chain, self.path)
        if paths[0] in chain:
            names = [display_name(one, self.layers.options.cwd) for one in (*chain, paths[0])]
            self._problem(f"include cycle: {' includes '.join(names)}")
            return None
        folder = self._folder(paths[0])
        try:
            environment = self._environment(folder)
            scope = Scope(folder, environment, chain)
            tree = self.layers.tree(paths, scope)
        except LoadError:
            raise
        except StackrError as error:
            self._problem(error.message)
            return None
        outer = self.scope.folder
        relative = (
            folder if self.wanted.project_directory.startswith("/") else _relative(folder, outer)
        )
        Paths(relative, self.layers.options.environment.get("HOME", "")).resolve(tree)
        return tree

    def _problem(self, message: str) -> None:
        self.layers.report.add(self.mark, "include", message)

    def _absolute(self, path: str) -> str:
        return posixpath.normpath(posixpath.join(self.scope.folder, path))

    def _folder(self, first: str) -> str:
        if self.wanted.project_directory:
            return self._absolute(self.wanted.project_directory)
        return posixpath.dirname(first)

    def _environment(self, folder: str) -> dict[str, str]:
        default = posixpath.join(folder, ".env")
        paths = [self._absolute(path) for path in self.wanted.env_file if path != "/dev/null"]
        if not self.wanted.env_file and self.layers.files.is_file(default):
            paths = [default]
        environment, added = self.scope.environment, dict[str, str]()
        lookup: Callable[[str], str | None] = lambda key: environment.get(key, added.get(key))  # noqa: E731
        for path in paths:
            name = display_name(path, self.layers.options.cwd)
            text = self.layers.files.read(path)
            added |= parse_env(text, name, lookup, lambda _: None)
        return added | environment


def _relative(path: str, start: str) -> str:
    return posixpath.relpath(path, start)


@dataclass
class Extender:
    """Applies `extends` in one file."""

    layers: Layers
    path: str
    scope: Scope
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
            base = folder if file.startswith("/") else _relative(folder, self.scope.folder)
            Paths(base, options.environment.get("HOME", "")).resolve(tree)
            services = tree.get("services")
            self.sources[path] = services if isinstance(services, Map) else Map()
        return self.sources[path], path

    def _cycle(self, chain: list[tuple[str, str]], mark: Mark | None) -> None:
        start = chain.index(chain[-1])
        steps = " extends ".join(name for _, name in chain[start:])
        self.layers.report.add(mark, f"services.{chain[-1][1]}.extends", f"cycle: {steps}")
