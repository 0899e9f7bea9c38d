"""Options that several commands share."""

import signal
from collections.abc import Callable
from typing import Any, TypeVar

import click
from stackr_schemas.errors import StackrError
from stackr_schemas.types import parse_duration

F = TypeVar("F", bound=Callable[..., Any])


def _scale(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> dict[str, int]:
    found = {}
    for value in values:
        service, _, number = value.partition("=")
        if not service or not number.isdigit():
            raise StackrError(f"invalid --scale {value!r}", hint="write SERVICE=NUMBER")
        found[service] = int(number)
    return found


def scale_option(function: F) -> F:
    """Add `--scale SERVICE=NUMBER`."""
    option = click.option(
        "--scale", multiple=True, callback=_scale, metavar="SERVICE=NUMBER", help="Set a scale."
    )
    return option(function)


def _duration(context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    try:
        return parse_duration(f"{value}s" if value.lstrip("-").isdigit() else value)
    except ValueError as error:
        raise StackrError(f"invalid --{option.name}: {error}") from None


def duration_option(*names: str, help: str) -> Callable[[F], F]:
    """Add an option of seconds, or of a duration like `1m30s`; its value is in nanoseconds."""
    return click.option(*names, callback=_duration, metavar="SECONDS", help=help)


def signal_number(text: str) -> int:
    """Return the number of `SIGTERM`, `TERM` or `15`."""
    from stackr_engine.container import signal_number as parse

    return parse(text) if text else int(signal.SIGKILL)
