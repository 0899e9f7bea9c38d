"""`up` without `-d`, and `logs -f`: output as it comes, Ctrl-C once and twice."""

import os
import re
import signal
import subprocess
import time

import pytest

from tests.scenarios.runner import Stack

pytestmark = pytest.mark.requires("root", "overlayfs")


def read_until(process: "subprocess.Popen[str]", *expected: str) -> list[str]:
    """Read stdout lines until all expected ones have come; names may be padded."""
    assert process.stdout
    lines: list[str] = []
    while not set(expected) <= set(lines):
        line = process.stdout.readline()
        assert line, f"ended after {lines}"
        lines.append(re.sub(" +", " ", line.rstrip("\n")))
    return lines


def test_output_has_names_before_it_and_ends_with_the_last_container(stack: Stack) -> None:
    done = stack.attempt("--profile", "short", "up", "short")
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0] == "Attaching to short-1"
    assert lines[1:3] == ["short-1  | short", "short-1  | unfinished"]
    assert lines[3].endswith("short-1 exited with code 2")


def test_one_interrupt_stops_all_in_order(stack: Stack) -> None:
    up = stack.start("up")
    read_until(up, "one-1 | one up")
    up.send_signal(signal.SIGINT)
    out, err = up.communicate(timeout=20)
    assert up.returncode == 130
    assert "Gracefully" in out
    assert "bye" in out
    assert err.index("attached-one-1  Stopped") < err.index("attached-stubborn-1  Stopping")
    assert stack.states() == {"one-1": "exited", "stubborn-1": "exited"}
    assert stack.ps()["attached-one-1"]["ExitCode"] == 4
    assert stack.ps()["attached-stubborn-1"]["ExitCode"] == 137


def test_a_second_interrupt_kills(stack: Stack) -> None:
    stack.variables["GRACE"] = "60s"
    up = stack.start("up")
    read_until(up, "one-1 | one up")
    up.send_signal(signal.SIGINT)
    time.sleep(0.5)
    start = time.monotonic()
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=20)
    assert up.returncode == 130
    assert time.monotonic() - start < 5
    assert stack.states() == {"one-1": "exited", "stubborn-1": "exited"}


def test_a_killed_client_leaves_its_containers_running(stack: Stack) -> None:
    up = stack.start("up")
    read_until(up, "one-1 | one up")
    up.kill()
    up.communicate()
    assert stack.states() == {"one-1": "running", "stubborn-1": "running"}


def test_logs_follow_shows_the_past_and_what_comes(stack: Stack) -> None:
    stack.run("up", "-d")
    logs = stack.start("logs", "-f", "one")
    read_until(logs, "one-1 | one up")
    stack.run("restart", "one")
    assert read_until(logs, "one-1 | bye", "one-1 | one up")
    logs.send_signal(signal.SIGINT)
    logs.communicate(timeout=10)
    assert logs.returncode == 130


def test_a_killed_exec_client_ends_what_it_started(stack: Stack) -> None:
    stack.run("up", "-d", "one")
    process = stack.start("exec", "-T", "one", "sh", "-c", "echo on; exec sleep 4711")
    read_until(process, "on")
    process.kill()
    process.communicate()
    end = time.monotonic() + 5
    while "4711" in stack.run("exec", "-T", "one", "sh", "-c", "cat /proc/[0-9]*/cmdline"):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_terminal_gets_a_terminal(stack: Stack) -> None:
    stack.run("up", "-d", "one")
    answer = in_terminal(stack, "exec", "one", "sh", "-c", "tty; stty size; echo $TERM")
    assert answer.split() == ["/dev/pts/0", "33", "99", "xterm"]


def in_terminal(stack: Stack, *arguments: str) -> str:
    """Run a command on a terminal of 33 lines and 99 columns, and return what it shows."""
    import fcntl
    import pty
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
    from tests.scenarios.runner import COMMAND

    process = subprocess.Popen(
        [COMMAND, *arguments],
        cwd=stack.folder,
        env=stack.environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    text = b""
    try:
        while data := os.read(master, 65536):
            text += data
    except OSError:  # EIO: the last holder of the other end closed it
        pass
    os.close(master)
    assert process.wait(10) == 0
    return text.decode()
