"""`up` in the foreground: shows output until all ends, or the user ends it."""

import queue
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from stackr_engine.bootstrap import LOG
from stackr_engine.logs import Record
from stackr_schemas.errors import StackrError
from stackr_schemas.events import ContainerDied, ContainerRemoved, ContainerStarted, Event
from stackr_schemas.state import ContainerState, Status

from stackr.apply import Scheduler
from stackr.bring_up import raise_failures
from stackr.desired import Desired
from stackr.follower import Follower
from stackr.invocation import Invocation
from stackr.logprinter import LogPrinter, short_name
from stackr.perform import Performer
from stackr.progress import progress
from stackr.teardown import plan_stop


@dataclass(frozen=True)
class AttachOptions:
    """What the user asked of the foreground; services by name."""

    only: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    abort_on_exit: bool = False
    stays: bool = False
    """Whether it goes on when all have ended: they may be started again."""
    exit_code_from: str = ""
    timestamps: bool = False
    colour: bool = True
    prefix: bool = True
    grace: int | None = None

    @classmethod
    def of(cls, given: dict[str, Any]) -> "AttachOptions":
        """Read the options of `up`."""
        return cls(
            only=frozenset(given["attached"]),
            without=frozenset(given["no_attach"]),
            abort_on_exit=given["abort_on_container_exit"] or bool(given["exit_code_from"]),
            exit_code_from=given["exit_code_from"] or "",
            stays=given["watch"],
            timestamps=given["timestamps"],
            colour=not given["no_color"],
            prefix=not given["no_log_prefix"],
            grace=given["timeout"],
        )

    def shows(self, service: str) -> bool:
        """Tell whether a service's output is shown."""
        return service not in self.without and (not self.only or service in self.only)


def attach(invocation: Invocation, desired: Desired, since: float, options: AttachOptions) -> int:
    """Show the containers' output from `since` on; return the exit status of `up`."""
    return Foreground(invocation, desired, options).run(since)


class Foreground:
    """One attached `up`."""

    def __init__(self, invocation: Invocation, desired: Desired, options: AttachOptions):
        self.invocation = invocation
        self.engine = invocation.engine
        self.options = options
        self.printer = LogPrinter(
            invocation,
            prefix=options.prefix,
            colour=options.colour,
            timestamps=options.timestamps,
            split=True,
        )
        found = (self.engine.containers.find(wanted.name) for wanted in desired.containers)
        self.states = {state.id: state for state in found if state is not None}
        self.followers: dict[str, Follower] = {}
        self.ended: set[str] = set()
        self.happened: queue.SimpleQueue[Event | int] = queue.SimpleQueue()
        self.aborting_status: int | None = None

    def run(self, since: float) -> int:
        """Follow until all have ended, one ended that must not, or the user interrupts."""
        shown = [s for s in self.states.values() if self.options.shows(s.label("service"))]
        names = ", ".join(sorted(short_name(state) for state in shown))
        self.invocation.stdout.write(f"Attaching to {names}\n")
        with (
            self.engine.bus.subscribe(self.happened),
            self.invocation.session.on_signal(self.happened.put),
        ):
            for state in shown:
                self._follow(state, since)
            for container_id in self.states:
                self._look(container_id)
            try:
                return self._watch()
            finally:
                for follower in self.followers.values():
                    follower.finish()

    def _follow(self, state: ContainerState, since: float) -> None:
        file = self.engine.paths.container(state.id) / LOG
        self.followers[state.id] = Follower(file, since, partial(self._line, state))

    def _line(self, state: ContainerState, record: Record) -> None:
        self.printer.line(state, record.time, record.stream, record.text)

    def _watch(self) -> int:
        while self.options.stays or len(self.ended) < len(self.states):
            match self.happened.get():
                case ContainerDied(container_id) if container_id in self.states:
                    self._look(container_id)
                case ContainerStarted(container_id) if container_id in self.ended:
                    self._begin_again(container_id)
                case ContainerRemoved(container_id) if container_id in self.states:
                    self.ended.add(container_id)
                case signal.SIGWINCH:
                    pass
                case int() as number:
                    return self._interrupted(number)
                case _:
                    pass
            if self.ended and self.options.abort_on_exit:
                return self._abort()
        return self._status()

    def _look(self, container_id: str) -> None:
        """Tell of an end, after the last line; go on with what is restarted."""
        state = self.engine.containers.find(container_id)
        if state is None or state.status not in (Status.EXITED, Status.RESTARTING):
            return
        if container_id in self.ended:
            return
        self.states[container_id] = state
        follower = self.followers.pop(container_id, None)
        if follower is not None:
            follower.finish()
            self.printer.exited(state)
        if state.status is Status.EXITED:
            self.ended.add(container_id)
        elif follower is not None:
            self._follow(state, state.finished)

    def _begin_again(self, container_id: str) -> None:
        state = self.engine.containers.find(container_id)
        if state is not None:
            self.ended.discard(container_id)
            if self.options.shows(state.label("service")):
                self._follow(state, state.finished)

    def _status(self) -> int:
        if not self.options.abort_on_exit:
            return 0
        wanted = self.options.exit_code_from
        codes = [
            self.engine.containers[key].exit_code
            for key, state in self.states.items()
            if not wanted or state.label("service") == wanted
        ]
        return next((code for code in codes if code), 0)

    def _abort(self) -> int:
        self.invocation.say("Aborting on container exit...")
        status = self._status()
        self._stop()
        return status or (self._status() if self.options.exit_code_from else 0)

    def _interrupted(self, number: int) -> int:
        """Stop in order; a second signal kills. A client that is gone leaves all running."""
        if self.invocation.session.gone.is_set():
            return 130
        self.invocation.stdout.write("Gracefully Stopping... press Ctrl+C again to force\n")
        self._stop()
        return 130

    def _stop(self) -> None:
        stopping = threading.Thread(target=self._stop_in_order)
        stopping.start()
        while stopping.is_alive():
            try:
                happened = self.happened.get(timeout=0.1)
            except queue.Empty:
                continue
            if isinstance(happened, int) and happened != signal.SIGWINCH:
                self._kill()
            elif isinstance(happened, ContainerDied) and happened.id in self.states:
                self._look(happened.id)
        for container_id in self.states:
            self._look(container_id)

    def _stop_in_order(self) -> None:
        plan = plan_stop(self.engine.containers[key] for key in self.states)
        with progress(self.invocation) as report:
            performer = Performer(self.engine, report, self.options.grace)
            raise_failures(Scheduler(plan, performer).run(lambda: None))

    def _kill(self) -> None:
        for container_id in self.states:
            with suppress(StackrError):
                self.engine.kill(container_id, signal.SIGKILL)
