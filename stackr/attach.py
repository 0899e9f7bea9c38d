"""`up` in the foreground: shows output until all ends, or the user ends it."""

import queue
import signal
import threading
from dataclasses import dataclass
from typing import Any

from stackr_engine import logs
from stackr_schemas.events import ContainerDied, ContainerRemoved, Event
from stackr_schemas.state import ContainerState, Status

from stackr.apply import Scheduler
from stackr.bring_up import raise_failures
from stackr.desired import Desired
from stackr.invocation import Invocation
from stackr.logprinter import LogPrinter, short_name
from stackr.perform import Performer, Progress
from stackr.teardown import plan_stop


@dataclass(frozen=True)
class AttachOptions:
    """What the user asked of the foreground; services by name."""

    only: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    abort_on_exit: bool = False
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
        self.happened: queue.SimpleQueue[Event | int] = queue.SimpleQueue()
        self.readers: dict[str, threading.Thread] = {}
        self.stop_reading = threading.Event()

    def run(self, since: float) -> int:
        """Follow until all have ended, one ended that must not, or the user interrupts."""
        shown = [s for s in self.states.values() if self.options.shows(s.label("service"))]
        names = ", ".join(sorted(short_name(state) for state in shown))
        self.invocation.stdout.write(f"Attaching to {names}\n")
        with self.engine.bus.subscribe() as events:
            threading.Thread(target=self._pass_on, args=(events,), daemon=True).start()
            self.invocation.session.on_signal(self.happened.put)
            followers = [self._follow(state, since) for state in shown]
            try:
                return self._watch()
            finally:
                for follower in followers:
                    follower.stop()
