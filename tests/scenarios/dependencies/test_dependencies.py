"""What `depends_on` promises: order, waiting, and what happens when a dependency fails."""

import pytest

from tests.scenarios.runner import Stack

pytestmark = pytest.mark.requires("root", "overlayfs")


def test_services_start_when_their_conditions_hold(stack: Stack) -> None:
    stack.run("up", "-d")
    assert stack.states() == {
        "first-1": "exited",
        "ready-1": "running",
        "after-first-1": "running",
        "after-ready-1": "running",
        "last-1": "running",
    }
    ended = float(stack.logs("first")[0])
    ready = float(stack.run("exec", "-T", "ready", "cat", "/tmp/ready"))
    assert float(stack.logs("after-first")[0]) > ended
    assert float(stack.logs("after-ready")[0]) > ready


def test_only_what_a_service_needs_is_started_with_it(stack: Stack) -> None:
    stack.run("up", "-d", "after-first")
    assert stack.states() == {"first-1": "exited", "after-first-1": "running"}


def test_a_failed_dependency_stops_what_waits_for_it_and_is_named(stack: Stack) -> None:
    stack.variables["FIRST"] = "3"
    done = stack.attempt("up", "-d", "after-first")
    assert done.status == 1
    assert 'service "first" didn\'t complete successfully: exit 3' in done.err
    assert stack.states() == {"first-1": "exited", "after-first-1": "created"}
    assert stack.ps()["dependencies-first-1"]["ExitCode"] == 3


def test_an_unhealthy_dependency_is_named_and_what_does_not_need_it_runs(stack: Stack) -> None:
    stack.variables["CHECK"] = "false"
    done = stack.attempt("up", "-d", "after-ready", "after-first")
    assert done.status == 1
    assert "dependency failed to start: container dependencies-ready-1 is unhealthy" in done.err
    states = stack.states()
    assert states["after-ready-1"] == "created"
    assert states["after-first-1"] == "running"
    assert stack.ps()["dependencies-ready-1"]["Health"] == "unhealthy"


def test_stopping_goes_from_dependents_to_dependencies(stack: Stack) -> None:
    stack.run("up", "-d")
    done = stack.attempt("stop")
    lines = [line.split() for line in done.err.splitlines()]
    order = [words[1] for words in lines if words[-1] == "Stopped"]
    assert order.index("dependencies-last-1") < order.index("dependencies-after-ready-1")
    assert order.index("dependencies-after-ready-1") < order.index("dependencies-ready-1")
