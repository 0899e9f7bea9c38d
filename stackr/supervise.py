"""Keeps containers as their restart policies and health checks say, without being asked."""

import heapq
import itertools
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from stackr_engine.engine import Engine
from stackr_engine.launch import healthcheck_of
from stackr_schemas.container import Healthcheck
from stackr_schemas.errors import NotFound, StackrError
from stackr_schemas.events import ContainerDied, ContainerRemoved, ContainerStarted, HealthChanged
from stackr_schemas.state import ContainerState, Status

from stackr.health import Verdict, next_probe, probe_command, verdict_after
from stackr.restart import restart_delay


class Timers:
    """Calls functions at their times, in a few worker threads; asleep in between."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._pool = ThreadPoolExecutor(8, "supervise")
        threading.Thread(target=self._run, name="timers", daemon=True).start()

    def after(self, seconds: float, function: Callable[[], None]) -> None:
        """Call the function once, `seconds` from now."""
        with self._changed:
            entry = time.monotonic() + seconds, next(self._order), function
            heapq.heappush(self._due, entry)
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                while self._due and self._due[0][0] <= now:
                    self._pool.submit(logged, heapq.heappop(self._due)[2])
                self._changed.wait(self._due[0][0] - now if self._due else None)


def logged(function: Callable[[], None]) -> None:
    """Call; what goes wrong is in the log and ends nothing else."""
    try:
        function()
    except NotFound:
        pass  # the container was removed while its timer ran
    except Exception:
        traceback.print_exc()


class Supervisor:
    """Listens to the engine and restarts and probes containers."""

    def __init__(self, engine: Engine):
        self.engine = engine
        self.timers = Timers()
        self.probing: dict[str, float] = {}
        """Container id → start time of the run that is being probed: one chain of probes a run."""
        ready = threading.Event()
        threading.Thread(target=self._listen, args=(ready,), name="supervisor", daemon=True).start()
        ready.wait()
        for state in engine.containers:
            self._look(state.id)

    def _listen(self, ready: threading.Event) -> None:
        with self.engine.bus.subscribe() as events:
            ready.set()
            while True:
                event = events.get()
                match event:
                    case ContainerStarted() | ContainerDied():
                        with suppress(NotFound):
                            self._look(event.id)
                    case ContainerRemoved():
                        self.probing.pop(event.id, None)
                    case HealthChanged():
                        pass

    def _look(self, container_id: str) -> None:
        """See what one container needs now."""
        state = self.engine.containers[container_id]
        if state.status is Status.RESTARTING:
            delay = restart_delay(state)
            self.timers.after(delay or 0.0, lambda: self._restart(container_id))
        elif state.is_running:
            self._begin_probing(state)
        elif state.status is Status.EXITED:
            self.timers.after(0.0, self.engine.live(container_id).release)

    def _restart(self, container_id: str) -> None:
        state = self.engine.containers[container_id]
        if state.status is not Status.RESTARTING:
            return
        self.engine.containers.update(container_id, restart_count=state.restart_count + 1)
        try:
            self.engine.start(container_id)
        except StackrError:
            delay = restart_delay(self.engine.containers[container_id])
            if delay is None:
                self.engine.containers.update(container_id, status=Status.EXITED)
            else:
                self.engine.containers.update(container_id, status=Status.RESTARTING)
                self.timers.after(delay, lambda: self._restart(container_id))

    def _begin_probing(self, state: ContainerState) -> None:
        check = healthcheck_of(state)
        if check is None or self.probing.get(state.id) == state.started:
            return
        self.probing[state.id] = state.started
        seconds = next_probe(check, state.health, time.time() - state.started)
        self.timers.after(seconds, lambda: self._probe(state.id, state.started, check))

    def _probe(self, container_id: str, run: float, check: Healthcheck) -> None:
        state = self.engine.containers[container_id]
        if not state.is_running or state.started != run:
            return
        passed = self._passes(container_id, check)
        state = self.engine.containers[container_id]
        if not state.is_running or state.started != run:
            return
        before = Verdict(state.health, state.failing_streak)
        after = verdict_after(check, before, passed=passed, age=time.time() - run)
        if after != before:
            self.engine.containers.update(
                container_id, health=after.health, failing_streak=after.failing_streak
            )
        if after.health is not before.health:
            event = HealthChanged(container_id, state.name, after.health.value)
            self.engine.bus.emit(event)
        seconds = next_probe(check, after.health, time.time() - run)
        self.timers.after(seconds, lambda: self._probe(container_id, run, check))

    def _passes(self, container_id: str, check: Healthcheck) -> bool:
        try:
            command = probe_command(check)
            return self.engine.live(container_id).probe(command, check.timeout / 1e9)
        except StackrError:
            return False
