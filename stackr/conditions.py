"""Waits until a container is as others need it: started, healthy, or done."""

import queue
from threading import Event

from stackr_engine.engine import Engine
from stackr_schemas.errors import StackrError
from stackr_schemas.state import ContainerState, Health, Status

from stackr.desired import Condition


class Unmet(StackrError):
    """The condition can no longer come true by waiting."""


def await_condition(engine: Engine, name: str, condition: Condition, cancelled: Event) -> None:
    """Return when the condition holds or the wait is cancelled; Unmet when it cannot hold."""
    with engine.bus.subscribe() as events:
        while not cancelled.is_set():
            state = engine.containers.find(name)
            if state is None:
                raise Unmet(f"container {name} was removed")
            if is_met(state, condition):
                return
            try:
                events.get(timeout=0.25)  # any event is only a reason to look again
            except queue.Empty:
                continue


def is_met(state: ContainerState, condition: Condition) -> bool:
    """Tell whether the condition holds; raise Unmet when waiting cannot help.

    A container whose restart policy is about to start it again is still on its way.
    """
    ended = state.status is Status.EXITED
    match condition:
        case "service_started":
            return state.is_running or ended
        case "service_healthy":
            if state.is_running and state.health is Health.NONE:
                raise Unmet(
                    f"container {state.name} has no healthcheck configured",
                    hint="give it one, or wait for service_started",
                )
            if state.health is Health.UNHEALTHY and state.is_running:
                raise Unmet(f"container {state.name} is unhealthy")
            if ended:
                raise Unmet(f"container {state.name} exited ({state.exit_code})")
            return state.is_running and state.health is Health.HEALTHY
        case "service_completed_successfully":
            if ended and state.exit_code != 0:
                service = state.label("service") or state.name
                raise Unmet(
                    f'service "{service}" didn\'t complete successfully: exit {state.exit_code}'
                )
            return ended
