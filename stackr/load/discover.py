"""Which files make a stack, and which variables there are before they are read."""

import posixpath
from dataclasses import dataclass

from stackr_schemas.errors import StackrError
from stackr_schemas.types import parse_bool

from stackr.load.dotenv import parse_env
from stackr.load.files import DISK, Files
from stackr.load.options import LoadOptions
from stackr.load.problem import Report, display_name

NAMES = (
    ("stack.yaml", "stack.yml"),
    ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"),
)
OVERRIDES = (
    ("stack.override.yml", "stack.override.yaml"),
    (
        "compose.override.yml",
        "compose.override.yaml",
        "docker-compose.override.yml",
        "docker-compose.override.yaml",
    ),
)
STDIN = "-"


@dataclass(frozen=True)
class Sources:
    """Where a stack comes from: absolute file names, its folder, the variables."""

    files: tuple[str, ...]
    folder: str
    environment: dict[str, str]
    origins: dict[str, str]
    """Where each variable comes from: a file, or the shell."""


def find_files(cwd: str, files: Files = DISK, report: Report | None = None) -> tuple[str, ...]:
    """Find the stack file of a folder or of one above it, and its override; () for none."""
    folder = cwd
    while True:
        for names, overrides in zip(NAMES, OVERRIDES, strict=True):
            found = _there(names, folder, files)
            if found:
                _warn_many("config files", found, report)
                more = _there(overrides, folder, files)
                _warn_many("override files", more, report)
                return (found[0], *more[:1])
        parent = posixpath.dirname(folder)
        if parent == folder:
            return ()
        folder = parent


def _there(names: tuple[str, ...], folder: str, files: Files) -> list[str]:
    return [path for name in names if files.is_file(path := posixpath.join(folder, name))]


def _warn_many(kind: str, found: list[str], report: Report | None) -> None:
    if len(found) > 1 and report:
        report.warn(f"Found multiple {kind} with supported names: {', '.join(found)}")
        report.warn(f"Using {found[0]}")


def find_sources(options: LoadOptions, files: Files, report: Report) -> Sources:
    """Find files and variables; raises StackrError."""
    finder = _Finder(options, files, report)
    finder.add_env_files(finder.folder(options.files))
    paths = finder.paths()
    finder.add_env_files(finder.folder(paths))
    if not paths:
        raise StackrError(
            "no stack file found here or above",
            hint=f"name it {NAMES[0][0]} or {NAMES[1][0]}, or give one with -f",
        )
    return Sources(paths, finder.folder(paths), finder.environment, finder.origins)


class _Finder:
    """Collects variables from the shell and from env files, in the order of precedence."""

    def __init__(self, options: LoadOptions, files: Files, report: Report):
        self.options = options
        self.files = files
        self.report = report
        self.environment = dict(options.environment)
        self.origins = dict.fromkeys(options.environment, "shell")

    def absolute(self, path: str) -> str:
        return posixpath.normpath(posixpath.join(self.options.cwd, path))

    def folder(self, paths: tuple[str, ...]) -> str:
        if self.options.project_directory:
            return self.absolute(self.options.project_directory)
        first = next((path for path in paths if path != STDIN), None)
        return posixpath.dirname(self.absolute(first)) if first else self.options.cwd

    def paths(self) -> tuple[str, ...]:
        given = self.options.files
        if not given and "COMPOSE_FILE" in self.environment:
            separator = self.environment.get("COMPOSE_PATH_SEPARATOR") or ":"
            given = tuple(self.environment["COMPOSE_FILE"].split(separator))
        if not given:
            return find_files(self.folder(()), self.files, self.report)
        paths = tuple(path if path == STDIN else self.absolute(path) for path in given)
        for path in paths:
            if path != STDIN and not self.files.is_file(path):
                kind = "a folder, not a file" if self.files.is_folder(path) else "not there"
                raise StackrError(f"the stack file {path} is {kind}")
        return paths

    def add_env_files(self, folder: str) -> None:
        added: dict[str, str] = {}
        for path in self._env_files(folder):
            name = display_name(path, self.options.cwd)

            def known(key: str) -> str | None:
                value = self.environment.get(key)
                return added.get(key) if value is None else value

            text = self.files.read(path)
            for key, value in parse_env(text, name, known, self._missing).items():
                added[key] = value
                if key not in self.environment:
                    self.origins[key] = name
        self.environment = added | self.environment

    def _env_files(self, folder: str) -> list[str]:
        given = self.options.env_files
        if not given and self.environment.get("COMPOSE_ENV_FILES"):
            given = tuple(self.environment["COMPOSE_ENV_FILES"].split(","))
        if given:
            return [self.absolute(path) for path in given]
        if parse_bool(self._disabled()):
            return []
        path = posixpath.join(folder, ".env")
        return [path] if self.files.is_file(path) else []

    def _disabled(self) -> str:
        text = self.environment.get("COMPOSE_DISABLE_ENV_FILE") or "false"
        return {"1": "true", "0": "false", "t": "true", "f": "false"}.get(text.lower(), text)

    def _missing(self, name: str) -> None:
        self.report.warn(f'The "{name}" variable is not set. Defaulting to a blank string.')
