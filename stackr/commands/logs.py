"""`stackr logs`."""

import queue
import time
from datetime import datetime
from functools import partial
from typing import Any

import click
from stackr_engine import logs as engine_logs
from stackr_engine.bootstrap import LOG
from stackr_engine.logs import Record, Span
from stackr_schemas.errors import StackrError
from stackr_schemas.events import ContainerRemoved, ContainerStarted
from stackr_schemas.state import ContainerState
from stackr_schemas.types import parse_duration

from stackr.follower import Follower, stamp
from stackr.invocation import Invocation
from stackr.logprinter import LogPrinter
from stackr.session import Interrupted


@click.command()
@click.argument("services", nargs=-1)
@click.option("-f", "--follow", is_flag=True, help="Show new lines as they come.")
@click.option("-n", "--tail", default="all", help="Show this many last lines of each container.")
@click.option("-t", "--timestamps", is_flag=True, help="Show when each line was written.")
@click.option("--since", help="Show lines from this time (2026-01-02T13:23:37Z) or age (42m) on.")
@click.option("--until", help="Show lines before this time or age.")
@click.option("--no-color", is_flag=True, help="Do not colour names.")
@click.option("--no-log-prefix", is_flag=True, help="Do not show names before lines.")
@click.option("--index", type=int, default=0, help="Which replica.")
@click.pass_obj
def logs(invocation: Invocation, /, services: tuple[str, ...], **given: Any) -> int:
    """Show the output of containers."""
    containers = invocation.containers(services)
    if given["index"]:
        number = str(given["index"])
        containers = [s for s in containers if s.label("container-number") == number]
    printer = LogPrinter(
        invocation,
        prefix=not given["no_log_prefix"],
        colour=not given["no_color"],
        timestamps=given["timestamps"],
    )
    view = View(invocation, printer, given)
    if given["follow"]:
        return view.follow(containers, set(services))
    view.show(containers)
    return 0


class View:
    """What of the logs is shown, and how."""

    def __init__(self, invocation: Invocation, printer: LogPrinter, given: dict[str, Any]):
        self.invocation = invocation
        self.printer = printer
        self.since = moment(given["since"])
        self.until = moment(given["until"])
        self.tail = line_count(given["tail"])
        self.followers: dict[str, Follower] = {}

    def show(self, containers: list[ContainerState]) -> None:
        """Print what there is, a container after the other."""
        span = Span(stamp(self.since), stamp(self.until))
        for state in containers:
            file = self.invocation.engine.paths.container(state.id) / LOG
            for record in engine_logs.read(file, self.tail, span):
                self._line(state, record)

    def follow(self, containers: list[ContainerState], services: set[str]) -> int:
        """Print what there is and what comes, also of containers that come."""
        project = self.invocation.project_name
        happened: queue.SimpleQueue[Any] = queue.SimpleQueue()
        engine, session = self.invocation.engine, self.invocation.session
        with engine.bus.subscribe(happened), session.on_signal(happened.put):
            for state in containers:
                self._begin(state, self.since, self.tail)
            try:
                while self.followers or not containers:
                    match happened.get():
                        case int():
                            raise Interrupted
                        case ContainerRemoved(container_id) if container_id in self.followers:
                            self.followers.pop(container_id).finish()
                        case ContainerStarted(container_id) if container_id not in self.followers:
                            state = engine.containers[container_id]
                            wanted = not services or state.label("service") in services
                            if state.label("project") == project and wanted:
                                self._begin(state, state.started, None)
                        case _:
                            pass
            finally:
                for follower in self.followers.values():
                    follower.finish()
        return 0

    def _begin(self, state: ContainerState, since: float, tail: int | None) -> None:
        file = self.invocation.engine.paths.container(state.id) / LOG
        show = partial(self._line, state)
        self.followers[state.id] = Follower(file, since, show, tail, self.until)

    def _line(self, state: ContainerState, record: Record) -> None:
        self.printer.line(state, record.time, record.stream, record.text)


def line_count(text: str) -> int | None:
    """Read `--tail`: a number, or `all`."""
    if text in ("all", "-1"):
        return None
    if not text.isdigit():
        raise StackrError(f"invalid --tail {text!r}", hint="write a number, or all")
    return int(text)


def moment(text: str | None) -> float:
    """Read a time, or how long ago, as seconds since the epoch; 0 for none."""
    if not text:
        return 0.0
    try:
        return time.time() - parse_duration(text) / 1e9
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise StackrError(
            f"invalid time {text!r}", hint="write 2026-01-02T13:23:37Z, or 42m for an age"
        ) from None
