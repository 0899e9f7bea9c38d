"""`stackr ps`."""

import json
import shlex
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import click
from stackr_schemas.container import PublishedPort
from stackr_schemas.state import ContainerState, Health, Status

from stackr.invocation import Invocation
from stackr.table import table

COLUMNS = ("NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS")
STATUSES = [status.value for status in Status]


@click.command()
@click.argument("services", nargs=-1)
@click.option("-a", "--all", "everything", is_flag=True, help="Show stopped containers too.")
@click.option("-q", "--quiet", is_flag=True, help="Print ids alone.")
@click.option("--services", "names", is_flag=True, help="Print services alone.")
@click.option("--status", "statuses", multiple=True, type=click.Choice(STATUSES), help="Filter.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
@click.option("--no-trunc", is_flag=True, help="Do not shorten.")
@click.option("--orphans/--no-orphans", default=True, help="Show undeclared services too.")
@click.pass_obj
def ps(invocation: Invocation, /, services: tuple[str, ...], **given: Any) -> None:
    """List the project's containers."""
    containers = invocation.containers(services, one_off=given["everything"])
    wanted = set(given["statuses"])
    if wanted:
        containers = [state for state in containers if state.status.value in wanted]
    elif not given["everything"]:
        active = (Status.RUNNING, Status.RESTARTING)
        containers = [state for state in containers if state.status in active]
    if not given["orphans"] and (declared := invocation.declared_services) is not None:
        containers = [state for state in containers if state.label("service") in declared]
    for line in lines(containers, given):
        invocation.stdout.write(line + "\n")


def lines(containers: list[ContainerState], given: dict[str, Any]) -> Iterator[str]:
    """Render in the form that was asked for."""
    if given["quiet"]:
        yield from (state.id for state in containers)
    elif given["names"]:
        yield from dict.fromkeys(state.label("service") for state in containers)
    elif given["form"] == "json":
        yield from (json.dumps(json_row(state, given["no_trunc"])) for state in containers)
    else:
        rows = [table_row(state, given["no_trunc"]) for state in containers]
        yield from table(COLUMNS, rows)


def table_row(state: ContainerState, whole: bool) -> tuple[str, ...]:
    """Return a container's cells."""
    return (
        state.name,
        state.spec.image,
        f'"{command_text(state, whole)}"',
        state.label("service"),
        f"{ago(time.time() - state.created)} ago",
        status_text(state),
        ports_text(state),
    )


def json_row(state: ContainerState, whole: bool) -> dict[str, Any]:
    """Return a container as `docker compose ps --format json` does, field by field."""
    created = datetime.fromtimestamp(state.created, UTC).astimezone()
    labels = ",".join(f"{key}={value}" for key, value in sorted(state.labels.items()))
    names = [mount.source or "anonymous" for mount in state.spec.mounts if mount.type != "tmpfs"]
    return {
        "Command": f'"{command_text(state, whole)}"',
        "CreatedAt": created.strftime("%Y-%m-%d %H:%M:%S %z %Z"),
        "ExitCode": state.exit_code,
        "Health": state.health.value,
        "ID": state.id if whole else state.id[:12],
        "Image": state.spec.image,
        "Labels": labels,
        "LocalVolumes": str(sum(m.type == "volume" for m in state.spec.mounts)),
        "Mounts": ",".join(names),
        "Name": state.name,
        "Names": state.name,
        "Networks": ",".join(place.network for place in state.spec.networks),
        "Ports": ports_text(state),
        "Project": state.label("project"),
        "Publishers": [publisher(port) for port in state.ports if state.is_running],
        "RunningFor": f"{ago(time.time() - state.created)} ago",
        "Service": state.label("service"),
        "Size": "0B",
        "State": state.status.value,
        "Status": status_text(state),
    }


def command_text(state: ContainerState, whole: bool) -> str:
    """Return entrypoint and command as one line, shortened as Docker does."""
    entrypoint = state.spec.entrypoint
    image = state.image.config
    first = image.entrypoint if entrypoint is None else entrypoint
    inherited = image.cmd if entrypoint is None else ()
    words = [*first, *(inherited if state.spec.command is None else state.spec.command)]
    text = shlex.join(words)
    return text if whole or len(text) <= 20 else f"{text[:19]}…"


def publisher(port: PublishedPort) -> dict[str, Any]:
    """Return one published port in Compose's JSON."""
    return {
        "URL": port.host_ip or "0.0.0.0",
        "TargetPort": port.container_port,
        "PublishedPort": port.host_port or 0,
        "Protocol": port.protocol,
    }


def ports_text(state: ContainerState) -> str:
    """Return the published and the exposed ports as Docker lists them: while it runs."""
    if not state.is_running:
        return ""
    published = [
        f"{port.host_ip or '0.0.0.0'}:{port.host_port}->{port.container_port}/{port.protocol}"
        for port in state.ports
    ]
    taken = {f"{port.container_port}/{port.protocol}" for port in state.ports}
    exposed = dict.fromkeys([*state.image.config.exposed_ports, *state.spec.exposed_ports])
    return ", ".join([*published, *(port for port in exposed if port not in taken)])


def status_text(state: ContainerState) -> str:
    """Return `Up 5 minutes (healthy)`, `Exited (0) 2 seconds ago`, …"""
    now = time.time()
    match state.status:
        case Status.RUNNING:
            health = {Health.NONE: "", Health.STARTING: " (health: starting)"}
            suffix = health.get(state.health, f" ({state.health.value})")
            return f"Up {ago(now - state.started)}{suffix}"
        case Status.RESTARTING:
            return f"Restarting ({state.exit_code}) {ago(now - state.finished)} ago"
        case Status.EXITED:
            return f"Exited ({state.exit_code}) {ago(now - state.finished)} ago"
        case Status.CREATED:
            return "Created"


def ago(seconds: float) -> str:
    """Say a duration in the words that Docker uses."""
    if seconds < 1:
        return "Less than a second"
    for limit, unit, name in _UNITS:
        if seconds < limit:
            count = int(seconds // unit)
            return _SINGLE[name] if count == 1 else f"{count} {name}s"
    return f"{int(seconds // 31_536_000)} years"


_UNITS: Iterable[tuple[float, int, str]] = (
    (60, 1, "second"),
    (3600, 60, "minute"),
    (48 * 3600, 3600, "hour"),
    (14 * 86400, 86400, "day"),
    (60 * 86400, 604800, "week"),
    (730 * 86400, 2_592_000, "month"),
)
_SINGLE = {
    "second": "1 second",
    "minute": "About a minute",
    "hour": "About an hour",
    "day": "1 day",
    "week": "1 week",
    "month": "1 month",
}
