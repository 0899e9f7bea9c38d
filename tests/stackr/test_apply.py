"""The scheduler: order, parallelism, failures."""

import threading

import pytest
from stackr_schemas.errors import StackrError

from stackr.actions import Await, Start
from stackr.apply import WORKERS, Scheduler
from stackr.plan import Plan
from stackr.session import Interrupted


def chain(*names: str) -> Plan:
    plan, before = Plan(), []
    for name in names:
        before = [plan.add(Start(name, "test"), before)]
    return plan


def nothing() -> None:
    pass


def test_each_action_runs_after_those_before_it() -> None:
    done = []
    Scheduler(chain("a", "b", "c"), lambda action: done.append(action.name)).run(nothing)
    assert done == ["a", "b", "c"]


def test_what_follows_a_failure_is_skipped_and_siblings_finish() -> None:
    plan, done = chain("a", "b", "c"), []
    plan.add(Start("d", "test"))

    def perform(action: Start) -> None:
        if action.name == "b":
            raise StackrError("no")
        done.append(action.name)

    outcome = Scheduler(plan, perform).run(nothing)
    assert sorted(done) == ["a", "d"]
    assert [str(failure.error) for failure in outcome.failures] == ["no"]
    assert [action.name for action in outcome.skipped] == ["c"]


def test_waiting_does_not_keep_workers_from_working() -> None:
    plan = Plan()
    for number in range(WORKERS + 2):
        plan.add(Await(f"w{number}", "service_healthy"))
    plan.add(Start("a", "test"))
    released = threading.Event()

    def perform(action: Await | Start) -> None:
        if isinstance(action, Await):
            assert released.wait(5)
        else:
            released.set()

    assert Scheduler(plan, perform).run(nothing).failures == []


def test_an_error_of_ours_is_not_swallowed() -> None:
    def perform(action: Start) -> None:
        raise ValueError("bug")

    with pytest.raises(ValueError, match="bug"):
        Scheduler(chain("a"), perform).run(nothing)


def test_an_interrupt_ends_the_run_and_starts_nothing_more() -> None:
    done = []

    def check() -> None:
        if done:
            raise Interrupted

    def perform(action: Start) -> None:
        done.append(action.name)

    with pytest.raises(Interrupted):
        Scheduler(chain(*"abcdefgh"), perform).run(check)
    assert len(done) < 8
