"""What the engine says of a container that exists."""

from enum import Enum
from typing import Literal

from pydantic import Field

from stackr_schemas.container import ContainerSpec, Frozen, PublishedPort
from stackr_schemas.image import Image
from stackr_schemas.network import Endpoint


class Status(Enum):
    """Where a container is in its life, as Docker names it."""

    CREATED = "created"
    RUNNING = "running"
    RESTARTING = "restarting"
    EXITED = "exited"


class Health(Enum):
    """What the health check has said."""

    NONE = ""
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.CREATED: frozenset({Status.RUNNING}),
    Status.RUNNING: frozenset({Status.EXITED, Status.RESTARTING}),
    Status.RESTARTING: frozenset({Status.RUNNING, Status.EXITED}),
    Status.EXITED: frozenset({Status.RUNNING, Status.RESTARTING}),
}
"""From a status, those that may follow; tested pair by pair."""


class ContainerState(Frozen):
    """One container as it was made and as it is; times in seconds since the epoch."""

    id: str
    """64 hexadecimal digits."""
    spec: ContainerSpec
    image: Image
    created: float
    wanted: Literal["created", "running", "stopped"] = "created"
    """What the user last asked for: a stopped container stays stopped, also after a reboot."""
    status: Status = Status.CREATED
    pid: int = 0
    started: float = 0.0
    finished: float = 0.0
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    """Why the last start failed."""
    restart_count: int = 0
    health: Health = Health.NONE
    failing_streak: int = 0
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    """As published: `host_port` is what was asked for or chosen."""
    anonymous_volumes: dict[str, str] = Field(default_factory=dict)
    """Target in the container → volume name."""

    @property
    def name(self) -> str:
        """The container's name."""
        return self.spec.name

    @property
    def labels(self) -> dict[str, str]:
        """The container's labels."""
        return self.spec.labels

    @property
    def is_running(self) -> bool:
        """Tell whether it has a process."""
        return self.status is Status.RUNNING

    @property
    def is_alive(self) -> bool:
        """Tell whether it has a process, or will have one by itself."""
        return self.status in (Status.RUNNING, Status.RESTARTING)

    def label(self, name: str) -> str:
        """Return the label of this name in Compose's name space, or nothing."""
        return self.spec.labels.get(f"com.docker.compose.{name}", "")
