"""What a probe's results say of a container's health, and when to probe next."""

from dataclasses import dataclass

from stackr_schemas.container import Healthcheck
from stackr_schemas.state import Health

SECOND = 1_000_000_000
FIRST_PROBE = 0.05


@dataclass(frozen=True, slots=True)
class Verdict:
    """Health after a probe."""

    health: Health
    failing_streak: int


def verdict_after(check: Healthcheck, before: Verdict, *, passed: bool, age: float) -> Verdict:
    """Judge one probe; `age` is the seconds since the container's start.

    A failure in the start period does not count, until the first success ends that period
    (Dockerfile reference, HEALTHCHECK), nor does one before the first regular probe is due.
    """
    if passed:
        return Verdict(Health.HEALTHY, 0)
    if before.health is Health.STARTING and age < max(check.start_period, check.interval) / SECOND:
        return before
    streak = before.failing_streak + 1
    failed = streak >= check.retries
    return Verdict(Health.UNHEALTHY if failed else before.health, streak)


def next_probe(check: Healthcheck, health: Health, age: float) -> float:
    """Return the seconds until the next probe.

    While a container starts we also probe early, at doubling distances from 50 ms: a success
    there lets its dependents start at once instead of after a whole interval.
    """
    starting = health is Health.STARTING and age < check.start_period / SECOND
    regular = (check.start_interval if starting else check.interval) / SECOND
    if health is Health.STARTING and age < regular:
        return min(age + FIRST_PROBE, regular - age + 0.001)
    return regular


def probe_command(check: Healthcheck) -> tuple[str, ...]:
    """Return the arguments to run; nothing for `NONE`."""
    match check.test:
        case ("CMD", *words):
            return tuple(words)
        case ("CMD-SHELL", script):
            return ("/bin/sh", "-c", script)
        case _:
            return ()
