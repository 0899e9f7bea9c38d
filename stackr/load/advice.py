"""What loads, but is probably not what was meant: warnings."""

from collections.abc import Iterator
from typing import Any

from stackr_schemas.compose.command import split_command
from stackr_schemas.types import LEGACY_BOOLEANS

from stackr.load.problem import Report
from stackr.load.tree import Map, entries_in, maps_in, mark_at, where

SERVICE_SWITCHES = (
    "init",
    "oom_kill_disable",
    "privileged",
    "read_only",
    "stdin_open",
    "tty",
)
NETWORK_SWITCHES = ("attachable", "enable_ipv4", "enable_ipv6", "external", "internal")


def advise(tree: Map, report: Report) -> None:
    """Warn of booleans of YAML 1.1 and of commands that need a shell and have none."""
    for owner, key in _switches(tree):
        value = owner.get(key)
        if isinstance(value, str) and value.lower() in LEGACY_BOOLEANS:
            meant = "true" if LEGACY_BOOLEANS[value.lower()] else "false"
            text = f'"{value}" for boolean is not supported by YAML 1.2, please use `{meant}`'
            report.warn(_placed(owner, key, text))
    for service in maps_in(tree, "services"):
        for key in ("command", "entrypoint"):
            _advise_command(service, key, report)


def _switches(tree: Map) -> Iterator[tuple[Map, str]]:
    for service in maps_in(tree, "services"):
        yield from ((service, key) for key in SERVICE_SWITCHES)
        for mount in entries_in(service, "volumes"):
            yield mount, "read_only"
        if isinstance(service.get("healthcheck"), Map):
            yield service["healthcheck"], "disable"
    for network in maps_in(tree, "networks"):
        yield from ((network, key) for key in NETWORK_SWITCHES)
    for section in ("volumes", "secrets", "configs"):
        yield from ((resource, "external") for resource in maps_in(tree, section))


def _advise_command(service: Map, key: str, report: Report) -> None:
    value: Any = service.get(key)
    if not isinstance(value, str):
        return
    try:
        rest = split_command(value)[1]
    except ValueError:
        return
    if rest:
        text = f"{key} ends before {rest[0]!r}: no shell runs it; write [sh, -c, '…']"
        report.warn(_placed(service, key, text))


def _placed(owner: Map, key: str, text: str) -> str:
    place = where(mark_at(owner, (key,)))
    return f"{place}: {text}" if place else text
