"""Health verdicts and probe times."""

from stackr_schemas.container import Healthcheck
from stackr_schemas.state import Health

from stackr.health import Verdict, next_probe, probe_command, verdict_after

SECOND = 1_000_000_000
CHECK = Healthcheck(test=("CMD", "true"), interval=10 * SECOND, retries=2, start_period=0)
NEW = Verdict(Health.STARTING, 0)


def test_one_success_makes_it_healthy() -> None:
    assert verdict_after(CHECK, NEW, passed=True, age=0.1) == Verdict(Health.HEALTHY, 0)


def test_failures_count_only_from_the_first_regular_probe() -> None:
    assert verdict_after(CHECK, NEW, passed=False, age=9.9) == NEW
    once = verdict_after(CHECK, NEW, passed=False, age=10.1)
    assert once == Verdict(Health.STARTING, 1)
    assert verdict_after(CHECK, once, passed=False, age=20.2) == Verdict(Health.UNHEALTHY, 2)


def test_failures_in_the_start_period_do_not_count() -> None:
    check = CHECK.model_copy(update={"start_period": 60 * SECOND})
    assert verdict_after(check, NEW, passed=False, age=59) == NEW
    assert verdict_after(check, NEW, passed=False, age=61).failing_streak == 1


def test_a_success_after_being_unhealthy_heals() -> None:
    assert (
        verdict_after(CHECK, Verdict(Health.UNHEALTHY, 7), passed=True, age=99).failing_streak == 0
    )


def test_early_probes_double_their_distance_until_the_regular_time() -> None:
    age, times = 0.0, []
    while age < 10.0:
        age += next_probe(CHECK, Health.STARTING, age)
        times.append(age)
    assert times[0] == 0.05
    assert 10.0 <= times[-1] <= 10.01
    assert len(times) < 10
    assert next_probe(CHECK, Health.HEALTHY, 3.0) == 10.0


def test_commands() -> None:
    assert probe_command(CHECK) == ("true",)
    shell = CHECK.model_copy(update={"test": ("CMD-SHELL", "a | b")})
    assert probe_command(shell) == ("/bin/sh", "-c", "a | b")
    assert probe_command(CHECK.model_copy(update={"test": ("NONE",)})) == ()
