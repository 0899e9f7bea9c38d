"""The actions of a plan: each a typed value that says why and prints in a line."""

from dataclasses import dataclass

from stackr_schemas.network import NetworkSpec, NetworkState
from stackr_schemas.state import ContainerState

from stackr.desired import Condition, DesiredContainer, DesiredVolume


@dataclass(frozen=True, slots=True)
class CreateNetwork:
    """Make a network."""

    spec: NetworkSpec
    cause: str = "missing"

    def __str__(self) -> str:
        return f"+ network {self.spec.name}  ({self.cause})"


@dataclass(frozen=True, slots=True)
class RemoveNetwork:
    """Delete a network that no container uses any more."""

    state: NetworkState
    cause: str

    def __str__(self) -> str:
        return f"- network {self.state.spec.name}  ({self.cause})"


@dataclass(frozen=True, slots=True)
class CreateVolume:
    """Make a named volume."""

    volume: DesiredVolume
    cause: str = "missing"

    def __str__(self) -> str:
        return f"+ volume {self.volume.name}  ({self.cause})"


@dataclass(frozen=True, slots=True)
class RemoveVolume:
    """Delete a named volume and what is in it."""

    name: str
    cause: str

    def __str__(self) -> str:
        return f"- volume {self.name}  ({self.cause})"


@dataclass(frozen=True, slots=True)
class Create:
    """Make a container, not yet started."""

    wanted: DesiredContainer
    cause: str = "missing"

    def __str__(self) -> str:
        return f"+ container {self.wanted.name}  ({self.cause})"


@dataclass(frozen=True, slots=True)
class Replace:
    """Put a new container in the place of one; the old one comes back if the new one fails."""

    wanted: DesiredContainer
    old: ContainerState
    cause: str
    start: bool = True

    def __str__(self) -> str:
        return f"-/+ container {self.wanted.name}  ({self.cause})"


@dataclass(frozen=True, slots=True)
class Start:
    """Start a container that exists by then."""

    name: str
    cause: str

    def __str__(self) -> str:
        return f"~ start {self.name}  ({self.cause})"


@dataclass(frozen=True, slots=True)
class Restart:
    """Stop a running container and start it again."""

    state: ContainerState
    cause: str

    def __str__(self) -> str:
        return f"~ restart {self.state.name}  ({self.cause})"


@dataclass(frozen=True, slots=True)
class Await:
    """Wait until a container fulfils a condition that others depend on."""

    name: str
    condition: Condition
    required: bool = True

    def __str__(self) -> str:
        return f"  wait for {self.name}  ({self.condition})"


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop a running container."""

    state: ContainerState
    cause: str

    def __str__(self) -> str:
        return f"~ stop {self.state.name}  ({self.cause})"


@dataclass(frozen=True, slots=True)
class Remove:
    """Stop a container if it runs, and delete it."""

    state: ContainerState
    cause: str
    volumes: bool = False
    """Its anonymous volumes too."""

    def __str__(self) -> str:
        return f"- container {self.state.name}  ({self.cause})"


Action = (
    CreateNetwork
    | RemoveNetwork
    | CreateVolume
    | RemoveVolume
    | Create
    | Replace
    | Start
    | Restart
    | Await
    | Stop
    | Remove
)


def name_of(action: Action) -> str:
    """Return the name of what an action is about."""
    match action:
        case CreateNetwork(spec):
            return spec.name
        case RemoveNetwork(state):
            return state.spec.name
        case CreateVolume(volume):
            return volume.name
        case Create(wanted) | Replace(wanted):
            return wanted.name
        case RemoveVolume(name) | Start(name) | Await(name):
            return name
        case Restart(state) | Stop(state) | Remove(state):
            return state.name
