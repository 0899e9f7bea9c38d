"""What may be said of one more process in a running container."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ExecOptions:
    """How a command runs; None: as the container's own process does."""

    environment: tuple[str, ...] = ()
    user: str | None = None
    working_dir: str | None = None
    tty: bool = False
    privileged: bool = False
