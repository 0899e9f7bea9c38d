"""What will be done, as data: a graph of actions that prints itself, a line each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import networkx as nx
from stackr_schemas.state import ContainerState

from stackr import drift
from stackr.actions import (
    Action,
    Await,
    Create,
    CreateNetwork,
    CreateVolume,
    Remove,
    RemoveNetwork,
    Replace,
    Restart,
    Start,
)
from stackr.desired import Condition, Desired, DesiredContainer


@dataclass(frozen=True)
class Options:
    """What the user asked of `up` besides the file."""

    recreate: Literal["diverged", "force", "never"] = "diverged"
    start: bool = True
    remove_orphans: bool = False


@dataclass
class Plan:
    """Actions and what must be finished before each: edges point from earlier to later."""

    graph: "nx.DiGraph[int]" = field(default_factory=nx.DiGraph)
    actions: list[Action] = field(default_factory=list)

    def add(self, action: Action, after: Iterable[int] = ()) -> int:
        """Append an action and return its number."""
        number = len(self.actions)
        self.actions.append(action)
        self.graph.add_node(number)
        self.graph.add_edges_from((earlier, number) for earlier in after)
        return number

    @property
    def changes(self) -> list[Action]:
        """The actions that change something: waiting does not."""
        return [action for action in self.actions if not isinstance(action, Await)]

    def __str__(self) -> str:
        return "\n".join(str(action) for action in self.actions)


ContainerDrift = drift.ContainerMissing | drift.ContainerChanged | drift.ContainerStopped


class UpPlanner:
    """Orders what brings the machine to what is declared, and nothing more."""

    def __init__(self, desired: Desired, existing: Iterable[ContainerState], options: Options):
        self.plan = Plan()
        self.options = options
        self.replicas = desired.by_service()
        self.existing = {state.name: state for state in existing}
        self.started: dict[str, int] = {}
        """By container name, the action after which it runs anew."""
        self.awaited: dict[tuple[str, Condition], int] = {}

    def run(self, drifts: Iterable[drift.Drift]) -> Plan:
        """Return the plan that ends the given differences."""
        found = list(drifts)
        made = list(self._infrastructure(found))
        of_container = {
            item.wanted.name: item
            for item in found
            if isinstance(
                item, drift.ContainerMissing | drift.ContainerChanged | drift.ContainerStopped
            )
        }
        for wanted in (one for replicas in self.replicas.values() for one in replicas):
            self._container(wanted, of_container.get(wanted.name), made)
        self._removals(found)
        return self.plan

    def _infrastructure(self, found: list[drift.Drift]) -> Iterator[int]:
        for item in found:
            match item:
                case drift.NetworkMissing(spec):
                    yield self.plan.add(CreateNetwork(spec))
                case drift.NetworkChanged(state, spec, fields):
                    cause = f"{', '.join(fields)} changed"
                    removed = self.plan.add(RemoveNetwork(state, cause))
                    yield self.plan.add(CreateNetwork(spec, cause), [removed])
                case drift.VolumeMissing(volume):
                    yield self.plan.add(CreateVolume(volume))
                case _:
                    pass

    def _container(
        self, wanted: DesiredContainer, item: ContainerDrift | None, made: list[int]
    ) -> None:
        """Add what one replica needs: made, replaced, started, restarted, or nothing."""
        if isinstance(item, drift.ContainerMissing):
            created = self.plan.add(Create(wanted), made)
            self._start(wanted, "created", [created])
            return
        cause = self._reason_to_replace(item)
        if cause:
            before = [*made, *self._conditions(wanted)]
            action = Replace(wanted, self.existing[wanted.name], cause, self.options.start)
            self.started[wanted.name] = self.plan.add(action, before)
        elif isinstance(item, drift.ContainerStopped) or not self.existing[wanted.name].is_running:
            self._start(wanted, "not running", made)
        elif before := list(self._restarted_dependencies(wanted)):
            restart = Restart(self.existing[wanted.name], "what it depends on was replaced")
            self.started[wanted.name] = self.plan.add(restart, before)

    def _reason_to_replace(self, item: ContainerDrift | None) -> str:
        match self.options.recreate, item:
            case "force", _:
                return "asked for"
            case "diverged", drift.ContainerChanged(_, _, fields):
                return f"{', '.join(fields)} changed"
            case _:
                return ""

    def _start(self, wanted: DesiredContainer, cause: str, before: list[int]) -> None:
        if self.options.start:
            before = [*before, *self._conditions(wanted)]
            self.started[wanted.name] = self.plan.add(Start(wanted.name, cause), before)

    def _restarted_dependencies(self, wanted: DesiredContainer) -> Iterator[int]:
        for dependency in wanted.depends_on:
            if dependency.restart:
                replicas = self.replicas.get(dependency.service, ())
                yield from (self.started[one.name] for one in replicas if one.name in self.started)

    def _conditions(self, wanted: DesiredContainer) -> Iterator[int]:
        """Yield the actions that must be finished before a replica may start."""
        for dependency in wanted.depends_on if self.options.start else ():
            for other in self.replicas.get(dependency.service, ()):
                earlier = [self.started[other.name]] if other.name in self.started else []
                if dependency.condition == "service_started":
                    yield from earlier
                    continue
                key = other.name, dependency.condition
                if key not in self.awaited:
                    action = Await(other.name, dependency.condition, dependency.required)
                    self.awaited[key] = self.plan.add(action, earlier)
                yield self.awaited[key]

    def _removals(self, found: list[drift.Drift]) -> None:
        for item in found:
            match item:
                case drift.Surplus(state):
                    self.plan.add(Remove(state, "beyond the service's scale"))
                case drift.Orphan(state) if self.options.remove_orphans:
                    self.plan.add(Remove(state, "its service is no longer declared"))
                case _:
                    pass


def plan_up(
    desired: Desired,
    existing: Iterable[ContainerState],
    drifts: Iterable[drift.Drift],
    options: Options,
) -> Plan:
    """Plan `stackr up`: from differences to ordered actions."""
    return UpPlanner(desired, existing, options).run(drifts)
