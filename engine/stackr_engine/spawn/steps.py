"""Setup as a list of described steps: an error says which of them failed."""

from __future__ import annotations

from stackr_engine.spawn import process, users

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Step = tuple[str, Callable[[], None]]


class StepFailed(Exception):
    """A step failed; the cause is the exception's `__cause__`."""


def run_steps(steps: list[Step]) -> None:
    """Do the steps in order; raise StepFailed that names the one that failed."""
    for index, (title, do) in enumerate(steps, 1):
        try:
            do()
        except Exception as error:
            raise StepFailed(f"step {index} of {len(steps)}: {title}") from error


def describe(error: BaseException) -> dict[str, Any]:
    """Tell an error in words that can be sent: message, errno, exit code."""
    prefix = ""
    if isinstance(error, StepFailed) and error.__cause__:
        prefix, error = f"{error}: ", error.__cause__
    number = getattr(error, "errno", None)
    if isinstance(error, OSError) and not isinstance(error, process.NotExecuted):
        text = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    elif isinstance(error, process.NotExecuted):
        text = str(error.strerror)
    else:
        text = str(error) if isinstance(error, users.Unknown) else repr(error)
    code = getattr(error, "exit_code", process.EXIT_FAILED)
    return {"message": prefix + text, "errno": number or 0, "exit_code": code}
