"""Who outlives whom: resident, spawner, shim, container, exec."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stackr_engine import bootstrap
from stackr_engine.paths import Paths
from stackr_engine.spawn.adopt import find_running, read_exit
from stackr_engine.spawn.client import Spawner, SpawnError
from stackr_engine.spawn.launch import Launch
from stackr_engine.spawn.request import StartRequest

from tests.kernel.box import Box, Running, box_in

pytestmark = pytest.mark.requires("root", "overlayfs")


@pytest.fixture
def box(paths: Paths, tmp_path: Path) -> Iterator[Box]:
    with box_in(paths, tmp_path / "lower") as box:
        yield box


@contextlib.contextmanager
def resident(work: Callable[[], str]) -> Iterator[list[int]]:
    """Do some work in a process that then waits; give the numbers it returned, then kill it."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write, work().encode() or b" ")
            signal.pause()
        finally:
            os._exit(1)
    os.close(write)
    text = os.read(read, 1000)
    os.close(read)
    try:
        yield [int(word) for word in text.split()]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def is_gone(pid: int, seconds: float = 5) -> bool:
    """Wait for a process's end; a zombie has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state in "ZX":
            return True
        time.sleep(0.01)
    return False


def request_for(box: Box, running: Running, number: int) -> StartRequest:
    """A request for one more container like a given one."""
    folder = box.paths.container(f"{number:064x}")
    folder.mkdir(exist_ok=True)
    ready = bootstrap.Prepared(folder.name, folder, running.privileges)
    return bootstrap.start_request(running.spec, running.image, ready)


def test_spawner_goes_with_its_resident_and_the_container_stays(box: Box) -> None:
    first = box.start("sleep", "60")
    request = request_for(box, first, 50)

    def work() -> str:
        spawner = Spawner.fork(box.paths)
        return f"{spawner._pid} {spawner.start(request).pid}"

    with resident(work) as (spawner, container):
        pass
    assert is_gone(spawner)
    found = find_running(request.folder)
    assert found is not None
    assert found.pid == container
    found.kill(9)
    assert found.wait(5)
    found.close()


def test_exec_is_killed_with_its_resident(box: Box) -> None:
    running = box.start("sleep", "60")
    kept = []  # an exec that nobody holds ends

    def work() -> str:
        kept.append(box.execute(running, "/bin/sh", "-c", "sleep 61 & wait"))
        return str(kept[0].pid)

    with resident(work) as (program,):
        assert not is_gone(program, 0.1)
    assert is_gone(program)
    assert not running.started.wait(0)


def test_resident_killed_before_it_registered_leaves_no_container(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = box.start("sleep", "60")
    request = request_for(box, first, 50)
    register = Launch.register

    def stop_before(launch: Launch) -> None:
        assert launch._sync is not None
        launch._sync.recv(1, 2)  # MSG_PEEK: the first process is there
        os.kill(os.getpid(), signal.SIGKILL)

    def work() -> str:
        monkeypatch.setattr(Launch, "register", stop_before)
        box.spawner.start(request)
        return ""

    with resident(work):
        pass
    assert Launch.register is register
    end = time.monotonic() + 5
    while read_exit(request.folder) is None and time.monotonic() < end:
        time.sleep(0.01)
    found = read_exit(request.folder)
    assert found is not None
    assert found.code == 125
    assert find_running(request.folder) is None


def test_first_process_without_its_shim_is_ended_when_it_is_looked_for(box: Box) -> None:
    running = box.start("sleep", "60")
    os.kill(running.started.pid, signal.SIGSTOP)
    os.kill(running.started.shim_pid, signal.SIGKILL)
    assert running.started.wait(5)
    assert find_running(running.folder) is None
    assert is_gone(running.started.pid)


def test_service_that_cannot_be_imported_is_named(box: Box) -> None:
    with pytest.raises(SpawnError, match="no_such_module"):
        box.spawner.service("test", "stackr_engine.no_such_module", (), {})


def test_no_zombies_stay_with_the_spawner(box: Box) -> None:
    for _ in range(5):
        box.run("true")
    children = Path(f"/proc/{box.spawner._pid}/task/{box.spawner._pid}/children")
    end = time.monotonic() + 5
    while children.read_text().split() and time.monotonic() < end:
        time.sleep(0.01)
    assert children.read_text().split() == []
