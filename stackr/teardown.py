"""Plans that stop or remove what exists: dependents first, networks and volumes last."""

from collections.abc import Callable, Iterable, Mapping

from stackr_schemas.network import NetworkState
from stackr_schemas.state import ContainerState

from stackr.actions import Action, Remove, RemoveNetwork, RemoveVolume, Stop
from stackr.desired import Dependency, start_order
from stackr.plan import Plan


def plan_down(
    containers: Iterable[ContainerState],
    networks: Iterable[NetworkState],
    volumes: Iterable[str],
    *,
    anonymous_volumes: bool,
) -> Plan:
    """Plan the end of a project."""
    plan = Plan()
    removed = _dependents_first(
        plan, containers, lambda state: Remove(state, "down", anonymous_volumes)
    )
    for network in networks:
        plan.add(RemoveNetwork(network, "down"), removed)
    for name in volumes:
        plan.add(RemoveVolume(name, "down -v"), removed)
    return plan


def plan_stop(containers: Iterable[ContainerState]) -> Plan:
    """Plan the stop of what runs."""
    plan = Plan()
    running = [state for state in containers if state.is_alive]
    _dependents_first(plan, running, lambda state: Stop(state, "asked for"))
    return plan


def dependencies_of(containers: Iterable[ContainerState]) -> dict[str, list[Dependency]]:
    """Read services and what they depend on from containers' labels, where no file is at hand."""
    found: dict[str, list[Dependency]] = {}
    for state in containers:
        entries = [entry for entry in state.label("depends_on").split(",") if entry]
        found[state.label("service")] = [Dependency(entry.split(":")[0]) for entry in entries]
    return found


def _dependents_first(
    plan: Plan, containers: Iterable[ContainerState], action: Callable[[ContainerState], Action]
) -> list[int]:
    by_service: dict[str, list[ContainerState]] = {}
    for state in containers:
        by_service.setdefault(state.label("service"), []).append(state)
    edges: Mapping[str, list[Dependency]] = dependencies_of(
        state for states in by_service.values() for state in states
    )
    numbers: dict[str, list[int]] = {service: [] for service in by_service}
    for service in reversed(start_order(edges)):
        dependents = [
            number
            for other, dependencies in edges.items()
            if any(dependency.service == service for dependency in dependencies)
            for number in numbers[other]
        ]
        numbers[service] = [plan.add(action(state), dependents) for state in by_service[service]]
    return [number for group in numbers.values() for number in group]
