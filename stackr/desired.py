"""What a project wants to exist, in the engine's words, and what was found to exist."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import networkx as nx
from stackr_schemas.container import ContainerSpec
from stackr_schemas.image import Image
from stackr_schemas.network import NetworkSpec, NetworkState
from stackr_schemas.state import ContainerState

Condition = Literal["service_started", "service_healthy", "service_completed_successfully"]


@dataclass(frozen=True, slots=True)
class Dependency:
    """One entry of `depends_on`."""

    service: str
    condition: Condition = "service_started"
    restart: bool = False
    required: bool = True


@dataclass(frozen=True, slots=True)
class DesiredContainer:
    """One replica of a service."""

    service: str
    number: int
    spec: ContainerSpec
    image: Image
    depends_on: tuple[Dependency, ...] = ()

    @property
    def name(self) -> str:
        """The container's name."""
        return self.spec.name


@dataclass(frozen=True, slots=True)
class DesiredVolume:
    """One named volume."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Desired:
    """Everything that a project, or a part of it, wants to exist."""

    project: str
    containers: tuple[DesiredContainer, ...] = ()
    networks: tuple[NetworkSpec, ...] = ()
    volumes: tuple[DesiredVolume, ...] = ()
    services: frozenset[str] = frozenset()
    """Every service that the file declares, whether it is in `containers` or not."""
    selected: frozenset[str] = frozenset()
    """The services this command is about: only their containers can be beyond their scale."""

    def by_service(self) -> dict[str, list[DesiredContainer]]:
        """Return the replicas of each service, dependencies before dependents."""
        found: dict[str, list[DesiredContainer]] = {}
        for wanted in self.containers:
            found.setdefault(wanted.service, []).append(wanted)
        edges = {service: wants[0].depends_on for service, wants in found.items()}
        return {service: found[service] for service in start_order(edges)}


@dataclass(frozen=True)
class Observed:
    """What exists of a project."""

    containers: tuple[ContainerState, ...] = ()
    networks: tuple[NetworkState, ...] = ()
    volumes: frozenset[str] = frozenset()


def start_order(edges: Mapping[str, Iterable[Dependency]]) -> list[str]:
    """Sort services so that each comes after those it depends on; ties in the given order."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(edges)
    for service, dependencies in edges.items():
        graph.add_edges_from((d.service, service) for d in dependencies if d.service in edges)
    place = {service: index for index, service in enumerate(edges)}
    return list(nx.lexicographical_topological_sort(graph, key=place.__getitem__))
