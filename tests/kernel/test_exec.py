"""One more process in a running container."""

import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from stackr_engine import bootstrap
from stackr_engine.paths import Paths
from stackr_engine.spawn.client import SpawnError
from stackr_schemas.image import ImageConfig

from tests.kernel.box import Box, Running, box_in

pytestmark = pytest.mark.requires("root", "overlayfs")


@pytest.fixture
def box(paths: Paths, tmp_path: Path) -> Iterator[Box]:
    with box_in(paths, tmp_path / "lower") as box:
        yield box


@pytest.fixture
def running(box: Box) -> Running:
    config = ImageConfig(env=("FROM_IMAGE=1",), working_dir="/tmp")
    netns = box.netns("net")
    return box.start("sleep", "600", image=config, prepared={"netns": netns})


def test_it_is_in_every_namespace_of_the_container(box: Box, running: Running) -> None:
    names = ("pid", "mnt", "net", "ipc", "uts", "cgroup")
    _, text = box.exec_output(running, "/bin/sh", "-c", "readlink /proc/self/ns/*")
    theirs = {os.readlink(f"/proc/{running.started.pid}/ns/{name}") for name in names}
    assert theirs <= set(text.split())
    assert theirs.isdisjoint(os.readlink(f"/proc/self/ns/{name}") for name in names)


def test_exit_code_and_signal(box: Box, running: Running) -> None:
    assert box.exec_output(running, "/bin/sh", "-c", "exit 7")[0] == 7
    assert box.exec_output(running, "/bin/sh", "-c", "kill -9 $$")[0] == 137


def test_environment_working_folder_and_user(box: Box, running: Running) -> None:
    _, text = box.exec_output(
        running,
        "/bin/sh",
        "-c",
        "echo $FROM_IMAGE $ADDED $HOME; pwd; id -un",
        environment=("ADDED=2",),
        user="bob",
        working_dir="/etc",
    )
    assert text == "1 2 /home/bob\n/etc\nbob\n"


def test_same_privileges_as_the_container(box: Box, running: Running) -> None:
    script = "grep -E '^(Cap|Seccomp:|NoNewPrivs)' /proc/{}/status"
    _, own = box.exec_output(running, "/bin/sh", "-c", script.format("self"))
    _, first = box.exec_output(running, "/bin/sh", "-c", script.format("1"))
    assert own == first
    assert "Seccomp:\t2" in own


def test_privileged_exec_has_all_capabilities(box: Box, running: Running) -> None:
    running.privileges = bootstrap.privileges_for(running.spec, privileged=True)
    _, text = box.exec_output(running, "grep", "CapEff", "/proc/self/status")
    host = Path("/proc/self/status").read_text().partition("CapBnd:")[2].split()[0]
    assert text.split()[1] == host


def test_no_descriptor_of_the_host_comes_along(box: Box, running: Running) -> None:
    _, text = box.exec_output(running, "ls", "/proc/self/fd")
    assert text.split() == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("command", "code"), [("nosuch", 127), ("/etc/passwd", 126), ("/no/such", 127)]
)
def test_command_that_cannot_run_leaves_no_zombie(
    box: Box, running: Running, command: str, code: int
) -> None:
    with pytest.raises(SpawnError) as caught:
        box.execute(running, command)
    assert caught.value.exit_code == code
    _, text = box.exec_output(running, "/bin/sh", "-c", "cat /proc/[0-9]*/stat")
    assert ") Z " not in text


def test_unknown_user_and_missing_folder_are_named(box: Box, running: Running) -> None:
    with pytest.raises(SpawnError, match="unable to find user eve"):
        box.execute(running, "true", user="eve")
    with pytest.raises(SpawnError, match="enter the working folder: /nowhere: No such file"):
        box.execute(running, "true", working_dir="/nowhere")


def test_closing_kills_the_whole_tree(box: Box, running: Running) -> None:
    script = "sleep 601 & (sleep 602 & sleep 603) & setsid sleep 604 & echo up; wait"
    read, write = os.pipe()
    process = box.execute(running, "/bin/sh", "-c", script, stdio=(0, write, write))
    os.close(write)
    assert os.read(read, 10) == b"up\n"
    time.sleep(0.1)
    process.close()
    for _ in range(100):
        _, text = box.exec_output(running, "/bin/sh", "-c", "cat /proc/[0-9]*/cmdline")
        if "60" not in text.replace("sleep\x00600", ""):
            break
        time.sleep(0.02)
    os.close(read)
    assert not any(f"sleep\x0060{number}" in text for number in (1, 2, 3, 4))


def test_terminal(box: Box, running: Running) -> None:
    process = box.execute(running, "/bin/sh", "-c", "read x; tty; stty size", tty=True)
    assert process.master is not None
    process.resize(20, 90)
    os.write(process.master, b"\n")
    assert process.wait() == 0
    text = os.read(process.master, 1000).replace(b"\r\n", b"\n")
    assert text.endswith(b"/dev/pts/0\n20 90\n")
    process.close()


def test_terminal_needs_a_genuine_multiplexer(box: Box, running: Running) -> None:
    """CVE-2025-52565 and its like: the container replaces what the runtime opens."""
    with pytest.raises(SpawnError):
        script = "rm /dev/ptmx; mkdir /tmp/x"
        assert box.exec_output(running, "/bin/sh", "-c", script)[0] == 0
        fake = box.start("sleep", "60", privileged=True)
        swap = "mount -t tmpfs none /dev/pts && ln -s /etc/passwd /dev/pts/ptmx"
        assert box.exec_output(fake, "/bin/sh", "-c", swap)[0] == 0
        box.execute(fake, "true", tty=True)


def test_folder_as_a_stream_is_refused(box: Box, running: Running) -> None:
    folder = os.open("/", os.O_RDONLY)
    try:
        with pytest.raises(SpawnError, match="folder of the host"):
            box.execute(running, "true", stdio=(folder, folder, folder))
    finally:
        os.close(folder)


def test_container_that_has_ended(box: Box, running: Running) -> None:
    running.started.kill(9)
    running.finish()
    with pytest.raises(SpawnError, match="the container is not running"):
        box.execute(running, "true")


def test_pid_that_is_another_process_by_now(box: Box, running: Running) -> None:
    real = running.started
    running.started = replace(real, start_time=real.start_time + 1)
    try:
        with pytest.raises(SpawnError, match="the container is not running"):
            box.execute(running, "true")
    finally:
        running.started = real


def test_exec_is_quick(box: Box, running: Running) -> None:
    times = []
    for _ in range(15):
        start = time.perf_counter()
        process = box.execute(running, "true")
        assert process.wait() == 0
        times.append(time.perf_counter() - start)
        process.close()
    assert statistics.median(times) < 0.1, "seconds; an unloaded machine takes 0.005"
