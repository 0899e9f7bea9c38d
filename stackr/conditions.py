"""Waits until a container is as others need it: started, healthy, or done."""

import queue
import time
from collections.abc import Callable

from stackr_engine.engine import Engine
from stackr_engine.launch import healthcheck_of
from stackr_schemas.errors import StackrError
from stackr_schemas.state import ContainerState, Health, Status

from stackr.desired import Condition, Desired


class Unmet(StackrError):
    """The condition can no longer come true by waiting."""


def await_condition(
    engine: Engine, name: str, condition: Condition, check: Callable[[], None]
) -> None:
    """Return when the condition holds; Unmet when it cannot; `check` may raise to end the wait."""
    with engine.bus.subscribe() as events:
        while True:
            check()
            state = engine.containers.find(name)
            if state is None:
                raise Unmet(f"container {name} was removed")
            if is_met(state, condition):
                return
            try:
                events.get(timeout=0.25)  # any event is only a reason to look again
            except queue.Empty:
                continue


def await_up(
    engine: Engine, desired: Desired, timeout: int | None, check: Callable[[], None]
) -> None:
    """Wait until every container runs, and is healthy if it can be; `timeout` in nanoseconds."""
    deadline = None if timeout is None else time.monotonic() + timeout / 1e9

    def check_time() -> None:
        check()
        if deadline is not None and time.monotonic() > deadline:
            raise StackrError("not everything is up after --wait-timeout", hint="see `stackr ps`")

    for wanted in desired.containers:
        state = engine.containers.find(wanted.name)
        is_probed = state is not None and healthcheck_of(state) is not None
        condition: Condition = "service_healthy" if is_probed else "service_started"
        await_condition(engine, wanted.name, condition, check_time)


def is_met(state: ContainerState, condition: Condition) -> bool:
    """Tell whether the condition holds; raise Unmet when waiting cannot help.

    A container whose restart policy is about to start it again is still on its way.
    """
    match condition:
        case "service_started":
            return state.status in (Status.RUNNING, Status.EXITED)
        case "service_healthy":
            return _is_healthy(state)
        case "service_completed_successfully":
            return _is_completed(state)


def _is_healthy(state: ContainerState) -> bool:
    if state.status is Status.EXITED:
        raise Unmet(f"container {state.name} exited ({state.exit_code})")
    if not state.is_running:
        return False
    if state.health is Health.NONE:
        raise Unmet(
            f"container {state.name} has no healthcheck configured",
            hint="give it one, or wait for service_started",
        )
    if state.health is Health.UNHEALTHY:
        raise Unmet(f"container {state.name} is unhealthy")
    return state.health is Health.HEALTHY


def _is_completed(state: ContainerState) -> bool:
    if state.status is not Status.EXITED:
        return False
    if state.exit_code:
        service = state.label("service") or state.name
        raise Unmet(f'service "{service}" didn\'t complete successfully: exit {state.exit_code}')
    return True
