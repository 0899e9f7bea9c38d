"""kill -9 of any of our processes: no container ends, no line is lost, `up` then does nothing."""

import time
from pathlib import Path

import pytest

from tests.scenarios.runner import Stack, eventually

pytestmark = [pytest.mark.requires("root", "overlayfs"), pytest.mark.timeout(180)]
RESOLVE = "import socket; print(len(socket.gethostbyname_ex('counter')[2]))"


@pytest.fixture
def counting(stack: Stack) -> Stack:
    """Nine containers that count, one that waits for a flag to end."""
    (stack.folder / "flag").mkdir()
    stack.run("up", "-d")
    return stack


def pids(stack: Stack) -> dict[str, str]:
    """What the host says of each container: a restarted one would have another namespace."""
    return {
        name: stack.run("exec", "-T", "--index", name[-1], "counter", "readlink", "/proc/1/ns/pid")
        for name in stack.states()
        if name.startswith("counter")
    }


def assert_no_line_is_missing_or_doubled(stack: Stack) -> None:
    for number in range(1, 10):
        lines = stack.run("logs", "--no-log-prefix", "--index", str(number), "counter").split()
        assert len(lines) > 50
        assert lines == [str(count) for count in range(len(lines))]


def assert_up_does_nothing(stack: Stack) -> None:
    before = stack.ps()
    done = stack.attempt("up", "-d", "counter")
    words = {line.split()[-1] for line in done.err.splitlines()}
    assert (done.status, words) == (0, {"Running"})
    assert {name: one["ID"] for name, one in stack.ps().items()} == {
        name: one["ID"] for name, one in before.items()
    }


@pytest.mark.parametrize("victim", ["stackr.resident", "stackr-spawner", "stackr-resolver"])
def test_killing_one_process_again_and_again(counting: Stack, victim: str) -> None:
    before = pids(counting)
    for _ in range(5):
        counting.kill(victim)
        time.sleep(0.3)
        counting.run("exec", "-T", "counter", "true")  # which needs all of them
    eventually(lambda: resolved(counting) == "9\n")
    assert pids(counting) == before
    assert_up_does_nothing(counting)
    assert_no_line_is_missing_or_doubled(counting)


def resolved(stack: Stack) -> str:
    return stack.attempt("exec", "-T", "counter", "python3", "-c", RESOLVE).out


def test_killing_clients_in_everything_they_do(counting: Stack) -> None:
    before = pids(counting)
    for arguments in (("logs", "-f"), ("up",), ("exec", "-T", "counter", "sleep", "30"), ("ps",)):
        for delay in (0.01, 0.1):
            client = counting.start(*arguments)
            time.sleep(delay)
            client.kill()
            client.communicate()
    assert pids(counting) == before
    assert_up_does_nothing(counting)
    assert_no_line_is_missing_or_doubled(counting)


def test_names_are_answered_while_no_resident_is_there(counting: Stack) -> None:
    # glibc asks again after 5 s if the very first question was lost while all of it started.
    eventually(lambda: counting.logs("looks-up"))
    counting.kill("stackr.resident")
    time.sleep(1)
    before = len(counting.logs("looks-up"))
    counting.kill("stackr.resident")
    time.sleep(1)
    lines = counting.logs("looks-up")
    assert set(lines) == {"found"}, counting.ps("looks-up")
    assert len(lines) > before + 15


def test_an_exit_status_is_known_although_no_resident_saw_it(counting: Stack) -> None:
    counting.kill("stackr.resident")
    (counting.folder / "flag" / "end").touch()
    time.sleep(0.5)
    found = counting.ps()["survival-ends-1"]
    assert (found["State"], found["ExitCode"]) == ("exited", 7)


def test_everything_is_killed_at_once(counting: Stack) -> None:
    before = pids(counting)
    counting.kill("stackr.resident", "stackr-spawner", "stackr-resolver")
    eventually(lambda: resolved(counting) == "9\n")
    assert pids(counting) == before
    assert_up_does_nothing(counting)
    assert_no_line_is_missing_or_doubled(counting)
    counting.run("down", "-v")
    assert list(Path(counting.paths.state / "containers").iterdir()) == []
