"""An `up` that fails half-way says what failed, and leaves a working rest that `down` removes."""

import socket
import time

import pytest

from tests.scenarios.runner import Done, Stack

pytestmark = pytest.mark.requires("root", "overlayfs")


def fails(stack: Stack, *arguments: str) -> Done:
    done = stack.attempt(*(arguments or ("up", "-d")))
    assert done.status == 1, done
    return done


def test_a_command_that_does_not_exist(stack: Stack) -> None:
    stack.variables["COMMAND"] = "no-such-program --at all"
    done = fails(stack)
    assert '"no-such-program"' in done.err
    assert "not found" in done.err
    assert stack.states() == {"bad-1": "created", "good-1": "running"}
    stack.variables.pop("COMMAND")
    stack.run("up", "-d")
    assert stack.states() == {"bad-1": "running", "good-1": "running"}


def test_a_command_that_may_not_be_run(stack: Stack) -> None:
    stack.variables["COMMAND"] = "/etc/passwd"
    assert "permission denied" in fails(stack).err.lower()


def test_a_port_that_is_taken_names_who_has_it_before_anything_starts(
    stack: Stack, port: int
) -> None:
    with socket.create_server(("127.0.0.1", port)):
        done = fails(stack)
        assert str(port) in done.err
        assert "python" in done.err or "pytest" in done.err
        assert "running" not in stack.states().values()
    stack.run("up", "-d")
    assert stack.states() == {"bad-1": "running", "good-1": "running"}


def test_a_port_that_another_stack_has_is_refused(stack: Stack) -> None:
    stack.run("up", "-d")
    done = fails(stack, "-p", "other", "up", "-d")
    assert "failures-bad-1" in done.err
    stack.run("-p", "other", "down", "-v")
    assert stack.states() == {"bad-1": "running", "good-1": "running"}


@pytest.mark.parametrize(
    "image", ["rootfs:./no-such-folder", "no-such-image:1", "oci:./no-such-layout"]
)
def test_an_image_that_is_missing_stops_everything_before_it_begins(
    stack: Stack, image: str
) -> None:
    stack.variables["IMAGE"] = image
    done = fails(stack)
    assert image.split("./")[-1].split(":")[0] in done.err
    assert "bad" in done.err
    assert stack.states() == {}


def test_a_client_that_is_killed_half_way_leaves_what_down_removes(stack: Stack) -> None:
    for delay in (0.02, 0.05, 0.1):
        up = stack.start("up", "-d")
        time.sleep(delay)
        up.kill()
        up.communicate()
        stack.run("down", "-v")
        assert stack.states() == {}
    stack.run("up", "-d")
    assert stack.states() == {"bad-1": "running", "good-1": "running"}


def test_a_resident_that_is_killed_half_way_leaves_what_up_completes(stack: Stack) -> None:
    stack.run("version")
    for delay in (0.005, 0.01, 0.02, 0.03, 0.05, 0.08):
        stack.attempt("resident", "status")
        up = stack.start("up", "-d")
        time.sleep(delay)
        stack.kill("stackr.resident")
        up.communicate()
        stack.run("up", "-d")
        assert stack.states() == {"bad-1": "running", "good-1": "running"}
        stack.run("down", "-v")


def test_a_resident_that_is_killed_while_it_takes_down_leaves_what_down_completes(
    stack: Stack,
) -> None:
    for delay in (0.005, 0.01, 0.02, 0.03, 0.05):
        stack.run("up", "-d")
        down = stack.start("down", "-v")
        time.sleep(delay)
        stack.kill("stackr.resident")
        down.communicate()
        stack.run("down", "-v")
        assert stack.states() == {}
        assert list((stack.paths.state / "containers").iterdir()) == []
