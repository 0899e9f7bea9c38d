"""What a command works with: its session, its options, the project and the engine."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from stackr_schemas.errors import StackrError

from stackr.session import Session

if TYPE_CHECKING:
    from stackr_engine.engine import Engine
    from stackr_schemas.compose import Project

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

    def __init__(self, session: Session, engine: "Engine | None"):
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

        return LoadOptions(
            files=self.options.files,
            project_name=self.options.project_name,
            project_directory=self.options.project_directory,
            env_files=self.options.env_files,
            profiles=self.options.profiles,
            cwd=Path(self.session.request.cwd),
            environment=dict(self.session.request.environment),
        )

    @cached_property
    def project(self) -> "Project":
        """The project as the stack files declare it; warnings are printed once."""
        from stackr.load import load_project

        return load_project(self.load_options)

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
            dumb = self.session.request.environment.get("TERM", "") in ("", "dumb")
            return self.session.is_terminal(stream) and not dumb
        return self.options.ansi == "always"

    def say(self, text: str) -> None:
        """Print a line on stderr."""
        self.stderr.write(text + "\n")

    def say_error(self, error: StackrError) -> None:
        """Print what is wrong, where, and the next step."""
        self.say(str(error))
