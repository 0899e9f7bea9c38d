"""What a command works with: its session, its options, the project and the engine."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

from stackr_schemas.errors import StackrError

from stackr.session import Session

if TYPE_CHECKING:
    from stackr_engine.engine import Engine
    from stackr_schemas.compose.project import Project
    from stackr_schemas.state import ContainerState as State

    from stackr.load import LoadOptions


@dataclass(frozen=True)
class GlobalOptions:
    """The options before the verb."""

    files: tuple[str, ...] = ()
    project_name: str | None = None
    project_directory: str | None = None
    env_files: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    ansi: str = "auto"
    progress: str = "auto"


class Invocation:
    """One command as it runs."""

    def __init__(self, session: Session, engine: "Engine | StackrError | None"):
        self.session = session
        self.options = GlobalOptions()
        self._engine = engine

    @property
    def stdout(self) -> TextIO:
        """Where results go."""
        return self.session.stdout

    @property
    def stderr(self) -> TextIO:
        """Where progress, warnings and errors go."""
        return self.session.stderr

    @property
    def engine(self) -> "Engine":
        """The engine; StackrError where this command runs without one."""
        if isinstance(self._engine, StackrError):
            raise self._engine
        if self._engine is None:
            raise StackrError(
                "this command needs root: containers of other users are not supported yet",
                hint="run it with sudo",
            )
        return self._engine

    @cached_property
    def load_options(self) -> "LoadOptions":
        """What the loader is asked to load."""
        from stackr.load import LoadOptions

        given = self.options
        return LoadOptions(
            cwd=self.session.request.cwd,
            environment=dict(self.environment),
            files=given.files,
            stdin=self._read_stdin() if "-" in given.files else "",
            project_name=given.project_name or "",
            project_directory=given.project_directory or "",
            env_files=given.env_files,
            profiles=given.profiles,
        )

    def _read_stdin(self) -> str:
        with open(self.session.stdin, encoding="utf-8", closefd=False) as stream:
            return stream.read()

    @cached_property
    def project(self) -> "Project":
        """The project as the stack files declare it; warnings are printed once."""
        from stackr.load import load_project

        project = load_project(self.load_options)
        for warning in project.warnings:
            self.say(f"warning: {warning}")
        return project

    @cached_property
    def project_name(self) -> str:
        """The project's name; with `-p` and no stack file at hand, that name."""
        given = self.options.project_name or self.environment.get("COMPOSE_PROJECT_NAME")
        return given if given and not self.has_files else self.project.name

    @property
    def declared_services(self) -> frozenset[str] | None:
        """Every service of the file, or None where the project is known by its name alone."""
        if self.options.project_name and not self.has_files:
            return None
        return frozenset([*self.project.services, *self.project.disabled])

    @cached_property
    def has_files(self) -> bool:
        """Tell whether there is a stack file to read."""
        from stackr.load import find_files

        given = self.options.files or self.environment.get("COMPOSE_FILE")
        return bool(given or find_files(self.session.request.cwd))

    @property
    def environment(self) -> Mapping[str, str]:
        """The client's environment."""
        return self.session.request.environment

    def containers(self, services: Iterable[str] = (), *, one_off: bool = False) -> "list[State]":
        """The project's containers, of the given services if any; refuses unknown services."""
        from stackr.scope import containers_of

        wanted = list(services)
        found = containers_of(self.engine, self.project_name, wanted, one_off=one_off)
        declared = self.declared_services
        for name in wanted if declared is not None else ():
            if name not in (declared or ()) and all(s.label("service") != name for s in found):
                raise StackrError(f"no such service: {name}")
        return found

    @property
    def has_colours(self) -> bool:
        """Tell whether stdout takes ANSI sequences."""
        return self._ansi(self.stdout)

    @property
    def has_live_progress(self) -> bool:
        """Tell whether progress is redrawn in place."""
        match self.options.progress:
            case "auto":
                return self._ansi(self.stderr)
            case mode:
                return mode == "tty"

    def _ansi(self, stream: TextIO) -> bool:
        if self.options.ansi == "auto":
            dumb = self.environment.get("TERM", "") in ("", "dumb")
            return self.session.is_terminal(stream) and not dumb
        return self.options.ansi == "always"

    def say(self, text: str) -> None:
        """Print a line on stderr."""
        self.stderr.write(text + "\n")

    def say_error(self, error: StackrError) -> None:
        """Print what is wrong, where, and the next step."""
        is_seen = self.session.is_terminal(self.stderr)
        self.say(error.render(is_seen, self._ansi(self.stderr)))
