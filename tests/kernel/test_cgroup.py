"""Limits, devices and the end of groups, as the kernel of this machine has them."""

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stackr_engine.cgroup import Cgroups, DeviceRule, Group, open_cgroups
from stackr_engine.cgroup.v1 import CgroupsV1
from stackr_engine.cgroup.v2 import CgroupsV2
from stackr_engine.paths import Paths
from stackr_schemas.container import Resources
from stackr_schemas.errors import StackrError

MIB = 1 << 20
UNIFIED = "/sys/fs/cgroup/unified"
pytestmark = pytest.mark.requires("root")


def unified(parent: str) -> Cgroups:
    """Version 2 code on a hybrid host's unified hierarchy, which has few controllers or none."""
    return CgroupsV2(UNIFIED, parent)


KINDS: list[Callable[[str], Cgroups]] = [open_cgroups]
KINDS += [unified] if os.path.isdir(UNIFIED) else []


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def cgroups(request: pytest.FixtureRequest, paths: Paths) -> Iterator[Cgroups]:
    yield from _until_removed(request.param(paths.instance))


@pytest.fixture
def limited(paths: Paths) -> Iterator[Cgroups]:
    yield from _until_removed(open_cgroups(paths.instance))


def _until_removed(cgroups: Cgroups) -> Iterator[Cgroups]:
    yield cgroups
    for name in cgroups.list():
        cgroups.remove(name)
    cgroups.remove_parent()


class Inside:
    """A child in a group; what `work` returns is its exit status."""

    def __init__(self, group: Group, work: Callable[[], int]):
        ready, told = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 255
            try:
                os.setpgid(0, 0)
                for file in group.procs_files:
                    with open(file, "w") as opened:
                        opened.write("0")
                os.write(told, b".")
                status = work()
            finally:
                os._exit(status)
        os.close(told)
        assert os.read(ready, 1) == b"."
        os.close(ready)

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def sleep() -> int:
    time.sleep(100)
    return 0


def fork_and_sleep() -> int:
    os.fork()
    os.fork()
    return sleep()


def burn() -> int:
    while True:
        pass


def eventually(holds: Callable[[], bool]) -> bool:
    for _ in range(500):
        if holds():
            return True
        time.sleep(0.01)
    return False


def test_a_process_that_enters_is_in_the_group_and_in_no_other(cgroups: Cgroups) -> None:
    one, two = (cgroups.create(name, Resources()) for name in ("one", "two"))
    child = Inside(one, sleep)
    assert cgroups.pids("one") == [child.pid]
    assert cgroups.pids("two") == []
    assert os.path.isdir(two.path)
    assert "/one\n" in Path(f"/proc/{child.pid}/cgroup").read_text()
    assert cgroups.list() == {"one", "two"}
    cgroups.remove("one")
    assert child.wait() == -signal.SIGKILL
    assert cgroups.list() == {"two"}


def test_the_group_of_a_running_container_is_found_again(cgroups: Cgroups) -> None:
    made = cgroups.create("one", Resources())
    assert cgroups.group("one") == made


def test_killing_ends_also_those_that_were_forked(cgroups: Cgroups) -> None:
    child = Inside(cgroups.create("one", Resources()), fork_and_sleep)
    assert eventually(lambda: len(cgroups.pids("one")) == 4)
    cgroups.kill("one")
    assert child.wait() == -signal.SIGKILL
    cgroups.remove("one")
    assert cgroups.list() == set()


def test_killing_outruns_processes_that_fork_all_the_time(cgroups: Cgroups) -> None:
    def breed() -> int:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            if os.fork():
                os._exit(0)
            time.sleep(0.0002)

    child = Inside(cgroups.create("one", Resources()), breed)
    assert child.wait() == 0
    time.sleep(0.05)
    assert cgroups.pids("one") or eventually(lambda: bool(cgroups.pids("one")))
    cgroups.remove("one")
    assert cgroups.list() == set()


def test_on_v1_nobody_can_fork_once_the_killing_began(limited: Cgroups) -> None:
    if not isinstance(limited, CgroupsV1):
        return  # there the kernel kills all at once
    group = limited.create("one", Resources())
    limited.kill("one")

    def fork() -> int:
        try:
            return os.fork() and 1
        except BlockingIOError:
            return 9

    assert Inside(group, fork).wait() == 9


def test_a_container_that_made_groups_of_its_own_is_removed_too(cgroups: Cgroups) -> None:
    group = cgroups.create("one", Resources())
    child = Inside(group, sleep)
    for file in group.procs_files:
        below = os.path.join(os.path.dirname(file), "below", "deeper")
        os.makedirs(below)
    with open(f"{below}/cgroup.procs", "w") as opened:
        opened.write(str(child.pid))
    assert cgroups.pids("one") == [child.pid]
    cgroups.remove("one")
    assert child.wait() == -signal.SIGKILL
    assert cgroups.list() == set()


def test_a_frozen_container_stands_still_until_thawed(cgroups: Cgroups) -> None:
    child = Inside(cgroups.create("one", Resources()), burn)

    def used() -> int:
        return cgroups.stats("one").cpu_ns

    assert eventually(lambda: used() > 1_000_000)
    cgroups.freeze("one")
    before = used()
    time.sleep(0.1)
    assert used() - before < 1_000_000
    cgroups.thaw("one")
    assert eventually(lambda: used() - before > 5_000_000)
    cgroups.freeze("one")
    cgroups.remove("one")
    assert child.wait() == -signal.SIGKILL


def test_removing_nothing_and_removing_twice_is_no_error(cgroups: Cgroups) -> None:
    cgroups.remove("none")
    cgroups.create("one", Resources())
    cgroups.remove("one")
    cgroups.remove("one")


def test_the_parent_stays_while_there_are_groups(cgroups: Cgroups) -> None:
    cgroups.create("one", Resources())
    cgroups.remove_parent()
    assert cgroups.list() == {"one"}


def test_what_a_killed_start_left_is_made_anew(cgroups: Cgroups) -> None:
    child = Inside(cgroups.create("one", Resources()), sleep)
    assert cgroups.pids(cgroups.create("one", Resources()).name) == []
    assert child.wait() == -signal.SIGKILL


def opened(path: str) -> int:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError as error:
        return error.errno or 0
    return 0


def made(major: int, minor: int) -> int:
    path = f"/tmp/stackr-node-{os.getpid()}"
    try:
        os.mknod(path, 0o20600, os.makedev(major, minor))
        return opened(path)
    except OSError as error:
        return error.errno or 0
    finally:
        if os.path.exists(path):
            os.unlink(path)


def test_only_harmless_devices_can_be_opened(cgroups: Cgroups) -> None:
    group = cgroups.create("one", Resources())
    for path in ("null", "zero", "full", "random", "urandom", "ptmx"):
        assert Inside(group, lambda path=path: opened(f"/dev/{path}")).wait() == 0, path
    assert Inside(group, lambda: opened("/dev/kmsg")).wait() == errno.EPERM
    assert Inside(group, lambda: made(1, 1)).wait() == errno.EPERM  # /dev/mem
    assert opened("/dev/kmsg") == 0


def test_a_device_may_be_allowed_for_some_access(cgroups: Cgroups) -> None:
    group = cgroups.create("one", Resources(), [DeviceRule("c", 1, 11, "r")])
    assert Inside(group, lambda: opened("/dev/kmsg")).wait() == 0

    def written() -> int:
        try:
            os.close(os.open("/dev/kmsg", os.O_WRONLY))
        except OSError as error:
            return error.errno or 0
        return 0

    assert Inside(group, written).wait() == errno.EPERM
    assert written() == 0


def test_a_privileged_container_may_open_all(cgroups: Cgroups) -> None:
    group = cgroups.create("one", Resources(), None)
    assert Inside(group, lambda: opened("/dev/kmsg")).wait() == 0


@pytest.mark.requires("cgroup-memory")
def test_a_process_over_its_memory_is_killed_and_counted(limited: Cgroups) -> None:
    group = limited.create("one", Resources(memory_max=20 * MIB, memory_swap_max=0))

    def eat() -> int:
        held = [b"x" * MIB for _ in range(100)]
        return len(held)

    assert limited.oom_kills("one") == 0
    assert Inside(group, eat).wait() == -signal.SIGKILL
    assert limited.oom_kills("one") == 1
    with open(group.oom_file) as file:
        assert "oom_kill 1" in file.read().splitlines()


@pytest.mark.requires("cgroup-memory", "cgroup-cpu", "cgroup-pids")
def test_limits_read_back_as_the_kernel_rounds_them(limited: Cgroups) -> None:
    wanted = Resources(
        memory_max=10_000_001,
        memory_low=5_000_001,
        cpu_quota_us=50_000,
        cpu_period_us=200_000,
        cpu_weight=20,
        cpuset_cpus="0",
        pids_max=33,
    )
    limited.create("one", wanted)
    page = os.sysconf("SC_PAGE_SIZE")
    rounded = {"memory_max": 10_000_001 // page * page, "memory_low": 5_000_001 // page * page}
    assert limited.read("one") == wanted.model_copy(update=rounded)


@pytest.mark.requires("cgroup-memory", "cgroup-cpu", "cgroup-pids")
def test_limits_of_a_running_container_are_changed_and_taken_away(limited: Cgroups) -> None:
    group = limited.create("one", Resources(memory_max=16 * MIB, memory_swap_max=0))
    child = Inside(group, sleep)
    assert limited.read("one").memory_max == 16 * MIB
    steps = (
        Resources(memory_max=64 * MIB, memory_swap_max=16 * MIB, pids_max=5),
        Resources(memory_max=32 * MIB, memory_swap_max=0, cpu_weight=500, cpuset_cpus="0"),
        Resources(cpu_quota_us=20_000),
        Resources(),
    )
    for step in steps:
        limited.update("one", step)
        assert limited.read("one") == step
    assert limited.pids("one") == [child.pid]
    for file in limited.group("one").procs_files:
        with open(file) as opened:
            assert str(child.pid) in opened.read().split(), file
    limited.remove("one")
    child.wait()


@pytest.mark.requires("cgroup-pids")
def test_no_more_processes_than_allowed(limited: Cgroups) -> None:
    group = limited.create("one", Resources(pids_max=3))

    def fork() -> int:
        for count in range(10):
            try:
                if os.fork() == 0:
                    return sleep()
            except BlockingIOError:
                return count
        return 99

    assert Inside(group, fork).wait() == 2
    assert limited.stats("one").pids == 2


@pytest.mark.requires("cgroup-cpu")
def test_a_container_gets_no_more_time_than_its_quota(limited: Cgroups) -> None:
    group = limited.create("one", Resources(cpu_quota_us=20_000))
    child = Inside(group, burn)
    begin, used = time.monotonic(), limited.stats("one").cpu_ns
    time.sleep(0.5)
    share = (limited.stats("one").cpu_ns - used) / 1e9 / (time.monotonic() - begin)
    assert 0.02 < share < 0.35
    limited.remove("one")
    child.wait()


@pytest.mark.requires("cgroup-memory")
def test_statistics_tell_what_is_used(limited: Cgroups) -> None:
    group = limited.create("one", Resources(memory_max=256 * MIB))
    ready = os.eventfd(0)

    def hold() -> int:
        held = bytearray(os.urandom(30 * MIB))
        os.eventfd_write(ready, 1)
        time.sleep(100)
        return len(held)

    child = Inside(group, hold)
    os.eventfd_read(ready)
    stats = limited.stats("one")
    assert 30 * MIB < stats.memory < 60 * MIB
    assert stats.memory_limit == 256 * MIB
    assert stats.pids == 1
    assert stats.cpu_ns > 1_000_000
    limited.remove("one")
    child.wait()
    os.close(ready)


@pytest.mark.requires("cgroup-memory")
def test_a_limit_that_the_host_cannot_hold_is_refused_and_leaves_nothing(
    limited: Cgroups,
) -> None:
    with pytest.raises(StackrError, match=r"cpuset\.cpus"):
        limited.create("one", Resources(cpuset_cpus="4000"))
    assert limited.list() == set()
