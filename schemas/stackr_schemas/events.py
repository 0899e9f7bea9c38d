"""What the engine tells while it works: facts that happened, to whoever listens."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ContainerStarted:
    """Process 1 runs."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ContainerDied:
    """Process 1 ended; its exit status is on disk."""

    id: str
    name: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class ContainerRemoved:
    """The container is no longer."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class HealthChanged:
    """The health check's verdict is another than before."""

    id: str
    name: str
    health: str


Event = ContainerStarted | ContainerDied | ContainerRemoved | HealthChanged
