"""`include`: other files with their own folder and variables."""

import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stackr_schemas.errors import StackrError

from stackr.load.dotenv import parse_env
from stackr.load.paths import Paths
from stackr.load.problem import LoadError, display_name
from stackr.load.tree import Map, Mark

if TYPE_CHECKING:
    from stackr.load.layers import Layers


@dataclass(frozen=True)
class Scope:
    """What holds for a set of files: the folder of relative paths, variables, what led here."""

    folder: str
    environment: dict[str, str]
    chain: tuple[str, ...] = ()


@dataclass(frozen=True)
class Include:
    """One entry of `include`."""

    path: tuple[str, ...]
    env_file: tuple[str, ...]
    project_directory: str


def include_of(item: Any) -> Include | None:
    """Read an entry; None if it is malformed, which the models tell."""
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

    layers: "Layers"
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
        is_absolute = self.wanted.project_directory.startswith("/")
        relative = folder if is_absolute else posixpath.relpath(folder, self.scope.folder)
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
