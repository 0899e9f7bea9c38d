"""Restart policies."""

import pytest
from stackr_schemas.container import RestartPolicy

from stackr.restart import restart_delay
from tests.stackr.builders import state, wanted


def ended(policy: str, code: int = 1, *, attempts: int = 0, **changes):
    rule = RestartPolicy(name=policy, max_attempts=attempts)
    times = {"started": 100.0, "finished": 101.0}
    return state(wanted("web", restart=rule), exit_code=code, **{**times, **changes})


@pytest.mark.parametrize(
    ("policy", "code", "restarts"),
    [
        ("no", 1, False),
        ("always", 0, True),
        ("unless-stopped", 0, True),
        ("on-failure", 0, False),
        ("on-failure", 1, True),
    ],
)
def test_which_ends_are_followed_by_a_start(policy: str, code: int, restarts: bool) -> None:
    assert (restart_delay(ended(policy, code)) is not None) is restarts


def test_what_the_user_stopped_stays_stopped() -> None:
    assert restart_delay(ended("always", wanted="stopped")) is None


def test_attempts_end() -> None:
    assert restart_delay(ended("on-failure", attempts=3, restart_count=2)) is not None
    assert restart_delay(ended("on-failure", attempts=3, restart_count=3)) is None


def test_the_delay_doubles_up_to_a_minute_and_a_steady_run_resets_it() -> None:
    delays = [restart_delay(ended("always", restart_count=n)) for n in (0, 1, 2, 30)]
    assert delays == [0.1, 0.2, 0.4, 60.0]
    assert restart_delay(ended("always", restart_count=5, finished=200.0)) == 0.1
