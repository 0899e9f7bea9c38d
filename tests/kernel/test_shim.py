"""The shim: the container's log, its end on disk, and those who are attached."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from stackr_engine.attachment import Attachment
from stackr_engine.paths import Paths
from stackr_engine.spawn.adopt import find_running, read_exit
from stackr_engine.spawn.client import SpawnError
from stackr_engine.spawn.request import StartRequest
from stackr_schemas.container import LogConfig

from tests.kernel.box import SHELL, Box, Running, box_in

pytestmark = pytest.mark.requires("root", "overlayfs")
COUNT = "i=0; while [ $i -lt {} ]; do i=$((i+1)); echo $i; done"


@pytest.fixture
def box(paths: Paths, tmp_path: Path) -> Iterator[Box]:
    with box_in(paths, tmp_path / "lower") as box:
        yield box


def connect(running: Running) -> socket.socket:
    """Connect to a container's attach socket."""
    folder = os.open(running.folder, os.O_PATH)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.connect(f"/proc/self/fd/{folder}/attach.sock")
    os.close(folder)
    return sock


def frames(sock: socket.socket) -> list[bytes]:
    """Receive until the end."""
    return list(iter(lambda: sock.recv(1 << 17), b""))


def test_log_is_json_a_line_with_time_and_stream(box: Box) -> None:
    done = box.run(*SHELL, 'printf "a\\n\\377b\\nend"; sleep 0.1; echo "\\"q\\"" >&2')
    records = [
        json.loads(line) for line in (done.folder / "container.log").read_text().splitlines()
    ]
    assert [(item["log"], item["stream"]) for item in records] == [
        ("a\n", "stdout"),
        ("\ufffdb\n", "stdout"),
        ('"q"\n', "stderr"),
        ("end", "stdout"),
    ]
    for item in records:
        assert abs(time.time() - _seconds(item["time"])) < 60


def _seconds(text: str) -> float:
    import calendar

    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))


def test_no_line_is_lost_or_doubled(box: Box) -> None:
    done = box.run(*SHELL, COUNT.format(20000))
    assert done.output().split() == [str(number) for number in range(1, 20001)]


def test_log_rotates_by_size_and_loses_nothing_but_the_oldest(box: Box) -> None:
    log = LogConfig(max_size=20000, max_file=3)
    done = box.run(*SHELL, COUNT.format(1500), log=log)
    files = [done.folder / name for name in ("container.log.2", "container.log.1", "container.log")]
    assert sorted(done.folder.glob("container.log*")) == sorted(files)
    assert all(file.stat().st_size <= 20000 for file in files)
    kept = [
        int(json.loads(line)["log"]) for file in files for line in file.read_text().splitlines()
    ]
    assert kept == list(range(kept[0], 1501))


def test_log_driver_none_writes_nothing(box: Box) -> None:
    done = box.run("echo", "hello", log=LogConfig(driver="none"))
    assert not (done.folder / "container.log").exists()


def test_attached_from_the_start_gets_all_output_and_gives_input(box: Box) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    running = box.start(*SHELL, "echo first; cat; echo e >&2", stdin_open=True, attach=theirs)
    theirs.close()
    attached = Attachment(ours)
    assert attached.stdin is not None
    os.write(attached.stdin, b"typed\n")
    attached.close_stdin()
    found = frames(ours)
    assert b"".join(f[1:] for f in found if f[0] == 1) == b"first\ntyped\n"
    assert b"".join(f[1:] for f in found if f[0] == 2) == b"e\n"
    attached.close()
    assert running.finish().code == 0


def test_attach_later_through_the_socket_and_detach(box: Box) -> None:
    running = box.start("cat", stdin_open=True)
    for word in (b"one\n", b"two\n"):
        attached = Attachment(connect(running))
        assert attached.stdin is not None
        os.write(attached.stdin, word)
        assert attached.socket.recv(100) == b"\1" + word
        attached.close()
    assert find_running(running.folder) is not None
    assert os.stat(running.folder / "attach.sock").st_mode & 0o077 == 0


def test_a_client_that_does_not_read_holds_output_up_but_loses_none(box: Box) -> None:
    running = box.start(*SHELL, "read x; " + COUNT.format(100000), stdin_open=True)
    slow = Attachment(connect(running))
    assert slow.stdin is not None
    os.write(slow.stdin, b"go\n")
    time.sleep(0.5)
    assert read_exit(running.folder) is None
    text = b"".join(frame[1:] for frame in frames(slow.socket))
    assert text.split() == [b"%d" % number for number in range(1, 100001)]
    slow.close()
    assert len(running.output().split()) == 100000


def test_a_client_that_goes_away_holds_nothing_up(box: Box) -> None:
    running = box.start(*SHELL, "read x; " + COUNT.format(100000), stdin_open=True)
    gone = Attachment(connect(running))
    assert gone.stdin is not None
    os.write(gone.stdin, b"go\n")
    time.sleep(0.2)
    gone.close()
    assert running.finish().code == 0
    assert len(running.output().split()) == 100000


def test_terminal_has_size_and_is_the_controlling_one(box: Box) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    script = "tty; read x; stty size; echo $TERM; test -c /dev/console && cat </dev/tty"
    running = box.start(*SHELL, script, tty=True, stdin_open=True, attach=theirs)
    theirs.close()
    attached = Attachment(ours)
    assert attached.stdin is not None
    attached.resize(33, 101)
    os.write(attached.stdin, b"\nlast\n\x04")
    text = b"".join(frame[1:] for frame in frames(ours)).replace(b"\r\n", b"\n")
    attached.close()
    assert running.finish().code == 0
    assert text.startswith(b"/dev/pts/0\n") or b"\n/dev/pts/0\n" in text
    assert b"33 101\nxterm\n" in text
    assert text.count(b"last\n") == 2
    assert running.output().replace("\r\n", "\n").encode() == text


def test_container_runs_on_without_the_resident_and_is_found_again(box: Box) -> None:
    """A resident in a process of its own is killed while its container writes."""
    read, write = os.pipe()
    resident = os.fork()
    if resident == 0:
        try:
            running = box.start(*SHELL, "while :; do echo x; sleep 0.01; done")
            os.write(write, f"{running.started.pid}".encode())
            signal.pause()
        finally:
            os._exit(1)
    pid = int(os.read(read, 100))
    os.kill(resident, signal.SIGKILL)
    os.waitpid(resident, 0)
    os.close(read)
    os.close(write)
    folder = box.paths.container(f"{1:064x}")
    found = find_running(folder)
    assert found is not None
    assert found.pid == pid
    before = (folder / "container.log").stat().st_size
    time.sleep(0.3)
    assert (folder / "container.log").stat().st_size > before
    found.kill(9)
    assert found.wait(5)
    found.close()
    end = read_exit(folder)
    assert end is not None
    assert end.signal == 9
    assert find_running(folder) is None


def test_pid_of_another_process_or_boot_is_not_taken_for_the_container(box: Box) -> None:
    running = box.start("sleep", "60")
    file = running.folder / "pid.json"
    text = file.read_text()
    values = json.loads(text)
    for change in ({"boot_id": "other"}, {"start_time": 1, "shim_start_time": 1}):
        file.write_text(json.dumps(values | change))
        assert find_running(running.folder) is None
        assert not running.started.wait(0)
    file.write_text(text)
    found = find_running(running.folder)
    assert found is not None
    found.close()


def test_start_clears_the_end_of_the_run_before(box: Box) -> None:
    running = box.start("sleep", "60")
    running.started.kill(9)
    running.finish()
    request = _again(box, running)
    started = box.spawner.start(request)
    assert read_exit(running.folder) is None
    started.kill(9)
    assert started.wait(5)
    started.close()


def test_shim_that_cannot_fork_says_why(box: Box) -> None:
    done = box.run("true")
    request = _again(box, done)
    namespaces = request.config["linux"]["namespaces"]
    namespaces[:] = [{"type": "pid", "path": "/no/such/namespace"}, *namespaces[1:]]
    with pytest.raises(SpawnError, match="/no/such/namespace: No such file"):
        box.spawner.start(request)
    assert find_running(done.folder) is None


def _again(box: Box, running: Running) -> StartRequest:
    from stackr_engine import bootstrap

    ready = bootstrap.Prepared(running.id, running.folder, running.privileges)
    return bootstrap.start_request(running.spec, running.image, ready)


def test_spawner_that_was_killed_is_started_again(box: Box) -> None:
    running = box.start("sleep", "60")
    os.kill(box.spawner._pid, signal.SIGKILL)
    os.waitid(os.P_PID, box.spawner._pid, os.WEXITED | os.WNOWAIT)
    assert box.run("true").finish().code == 0
    assert not running.started.wait(0)


def test_starts_from_many_threads_at_once(box: Box) -> None:
    from concurrent.futures import ThreadPoolExecutor

    box.run("true")
    folders = [box.paths.container(f"{number:064x}") for number in range(100, 116)]

    def start(folder: Path) -> int:
        folder.mkdir()
        from stackr_engine import bootstrap

        first = box.running[0]
        ready = bootstrap.Prepared(folder.name, folder, first.privileges)
        started = box.spawner.start(bootstrap.start_request(first.spec, first.image, ready))
        started.wait(10)
        started.close()
        end = read_exit(folder)
        return -1 if end is None else end.code

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(start, folders)) == [0] * 16


def test_a_shim_is_small(box: Box) -> None:
    shims = [box.start("sleep", "60").started.shim_pid for _ in range(10)]
    private = []
    for pid in shims:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        values = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        private.append(values["Private_Dirty"] + values["Private_Clean"])
    assert sorted(private)[5] < 1000, f"KiB of memory of its own: {private}"


@pytest.mark.requires("cgroup-memory")
def test_container_killed_for_want_of_memory_says_so(box: Box) -> None:
    from stackr_engine.cgroup import open_cgroups
    from stackr_schemas.container import Resources

    cgroups = open_cgroups(box.paths.instance)
    group = cgroups.create("oom", Resources(memory_max=16 << 20, memory_swap_max=0))
    try:
        prepared = {"cgroup_procs": group.procs_files, "oom_file": group.oom_file}
        done = box.run(
            *SHELL, "x=$(head -c 64M /dev/zero | tr '\\0' a); echo $?", prepared=prepared
        )
        assert done.finish().oom_killed
        assert not box.run("true", prepared=prepared).finish().oom_killed
    finally:
        cgroups.remove("oom")
        cgroups.remove_parent()


@pytest.mark.requires("cgroup-pids")
def test_container_and_its_execs_are_in_its_cgroup(box: Box) -> None:
    from stackr_engine.cgroup import open_cgroups
    from stackr_schemas.container import Resources

    cgroups = open_cgroups(box.paths.instance)
    group = cgroups.create("one", Resources(pids_max=20))
    try:
        procs = group.procs_files
        running = box.start("sleep", "60", prepared={"cgroup_procs": procs})
        process = box.execute(running, "sleep", "61", cgroup_procs=procs)
        assert {running.started.pid, process.pid} == set(cgroups.pids("one"))
        assert running.started.shim_pid not in cgroups.pids("one")
        process.close()
        running.started.kill(9)
        running.finish()
    finally:
        cgroups.remove("one")
        cgroups.remove_parent()
