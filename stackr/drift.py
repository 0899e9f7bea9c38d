"""The differences between what is declared and what is there, each a value of its own type."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stackr_schemas.container import changed_fields
from stackr_schemas.network import NetworkSpec, NetworkState
from stackr_schemas.state import ContainerState

from stackr.desired import Desired, DesiredContainer, DesiredVolume, Observed


@dataclass(frozen=True, slots=True)
class NetworkMissing:
    """A declared network does not exist."""

    spec: NetworkSpec


@dataclass(frozen=True, slots=True)
class NetworkChanged:
    """A network exists, but not as declared; `fields` name what differs."""

    state: NetworkState
    spec: NetworkSpec
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VolumeMissing:
    """A declared volume does not exist."""

    volume: DesiredVolume


@dataclass(frozen=True, slots=True)
class ContainerMissing:
    """A declared replica has no container."""

    wanted: DesiredContainer


@dataclass(frozen=True, slots=True)
class ContainerChanged:
    """A container was made from another spec than the one declared now."""

    wanted: DesiredContainer
    state: ContainerState
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContainerStopped:
    """A declared container exists and does not run."""

    wanted: DesiredContainer
    state: ContainerState


@dataclass(frozen=True, slots=True)
class Surplus:
    """A container of a declared service beyond its scale."""

    state: ContainerState


@dataclass(frozen=True, slots=True)
class Orphan:
    """A container of this project whose service is no longer declared."""

    state: ContainerState


Drift = (
    NetworkMissing
    | NetworkChanged
    | VolumeMissing
    | ContainerMissing
    | ContainerChanged
    | ContainerStopped
    | Surplus
    | Orphan
)


def find_drift(desired: Desired, observed: Observed) -> list[Drift]:
    """Compare what is declared with what exists; nothing is read and nothing is done."""
    return [
        *network_drift(desired, observed),
        *volume_drift(desired, observed),
        *container_drift(desired, observed),
    ]


def network_drift(desired: Desired, observed: Observed) -> Iterator[Drift]:
    """Find networks that are missing or were made otherwise."""
    existing = {network.spec.name: network for network in observed.networks}
    for spec in desired.networks:
        state = existing.get(spec.name)
        if state is None:
            yield NetworkMissing(spec)
        elif fields := changed_network_fields(state.spec, spec):
            yield NetworkChanged(state, spec, fields)


def changed_network_fields(made: NetworkSpec, declared: NetworkSpec) -> tuple[str, ...]:
    """Name the fields that differ; pools that were left to the engine agree with any choice."""
    names = ["driver", "internal", "enable_ipv4", "enable_ipv6", "options"]
    changed = [name for name in names if getattr(made, name) != getattr(declared, name)]
    changed += ["labels"] if of_user(made.labels) != of_user(declared.labels) else []
    if declared.pools:
        for old, new in zip(made.pools, declared.pools, strict=False):
            given = new.model_dump(exclude_defaults=True)
            if any(getattr(old, name) != value for name, value in given.items()):
                changed.append("pools")
                break
        else:
            changed += ["pools"] if len(made.pools) < len(declared.pools) else []
    return tuple(changed)


def volume_drift(desired: Desired, observed: Observed) -> Iterator[Drift]:
    """Find volumes that are missing."""
    for volume in desired.volumes:
        if volume.name not in observed.volumes:
            yield VolumeMissing(volume)


def container_drift(desired: Desired, observed: Observed) -> Iterator[Drift]:
    """Find replicas that are missing, changed or stopped, and containers that nobody declares."""
    existing = {
        (state.label("service"), state.label("container-number")): state
        for state in observed.containers
    }
    for wanted in desired.containers:
        state = existing.pop((wanted.service, str(wanted.number)), None)
        if state is None:
            yield ContainerMissing(wanted)
        elif fields := changed_container_fields(state, wanted):
            yield ContainerChanged(wanted, state, fields)
        elif not state.is_running:
            yield ContainerStopped(wanted, state)
    for (service, _), state in existing.items():
        if service not in desired.services:
            yield Orphan(state)
        elif service in desired.selected:
            yield Surplus(state)


def changed_container_fields(state: ContainerState, wanted: DesiredContainer) -> tuple[str, ...]:
    """Name the spec's fields that differ, in the order of the spec."""
    fields = changed_fields(state.spec, wanted.spec)
    if "labels" in fields and of_user(state.labels) == of_user(wanted.spec.labels):
        fields.remove("labels")
    return tuple(fields)


def of_user(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels that are not Compose's own: those follow from names, files and versions."""
    return {k: text for k, text in labels.items() if not k.startswith("com.docker.compose.")}
