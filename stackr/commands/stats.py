"""`stackr stats`."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import click
from stackr_engine.cgroup import Stats
from stackr_engine.engine import Engine
from stackr_schemas.errors import StackrError
from stackr_schemas.state import ContainerState

from stackr.invocation import Invocation
from stackr.table import table

COLUMNS = ("NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "BLOCK I/O", "PIDS")
PERIOD = 1.0
"""Seconds over which the share of a processor is measured."""


@dataclass(frozen=True)
class Usage:
    """What one container uses: `cpu` in percent of one processor."""

    state: ContainerState
    cpu: float
    now: Stats


@click.command()
@click.argument("services", nargs=-1)
@click.option("--no-stream", is_flag=True, help="Print once.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
@click.pass_obj
def stats(invocation: Invocation, /, services: tuple[str, ...], no_stream: bool, form: str) -> None:
    """Show what running containers use, once a second."""
    while True:
        usages = list(measure(invocation, services))
        if form == "json":
            lines = [json.dumps(json_row(usage)) for usage in usages]
        else:
            lines = list(table(COLUMNS, [row(usage) for usage in usages]))
        clear = "\033[2J\033[H" if invocation.has_colours and not no_stream else ""
        invocation.stdout.write(clear + "".join(f"{line}\n" for line in lines))
        invocation.session.check()
        if no_stream:
            return


def measure(invocation: Invocation, services: tuple[str, ...]) -> Iterator[Usage]:
    """Read twice, a period apart."""
    engine = invocation.engine
    running = [state for state in invocation.containers(services) if state.is_running]
    before = {state.id: _read(engine, state) for state in running}
    began = time.monotonic()
    invocation.session.interrupted.wait(PERIOD)
    for state in running:
        then, now = before[state.id], _read(engine, state)
        if then is not None and now is not None:
            seconds = time.monotonic() - began
            yield Usage(state, (now.cpu_ns - then.cpu_ns) / 1e7 / seconds, now)


def _read(engine: Engine, state: ContainerState) -> Stats | None:
    try:
        return engine.cgroups.stats(state.id)
    except (OSError, StackrError):
        return None  # it ended meanwhile


def row(usage: Usage) -> tuple[str, ...]:
    """Return a container's cells."""
    now = usage.now
    return (
        usage.state.name,
        f"{usage.cpu:.2f}%",
        f"{size(now.memory)} / {size(now.memory_limit)}",
        f"{100 * now.memory / (now.memory_limit or 1):.2f}%",
        f"{size(now.io_read)} / {size(now.io_write)}",
        str(now.pids),
    )


def json_row(usage: Usage) -> dict[str, str]:
    """Return a container in the fields of `docker stats --format json`."""
    keys = ("Name", "CPUPerc", "MemUsage", "MemPerc", "BlockIO", "PIDs")
    return {"ID": usage.state.id[:12], **dict(zip(keys, row(usage), strict=True))}


def size(count: int) -> str:
    """Write a number of bytes as Docker does: `12.5MiB`."""
    value, units = float(count), iter(("B", "KiB", "MiB", "GiB"))
    unit = next(units)
    for larger in units:
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.4g}{unit}"
