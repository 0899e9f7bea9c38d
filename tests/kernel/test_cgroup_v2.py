"""What only a host with version 2 alone can show: how controllers reach the groups below."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from stackr_engine.cgroup.mounts import CGROUP2_MAGIC, ROOT, filesystem_type
from stackr_engine.cgroup.v2 import CgroupsV2
from stackr_engine.paths import Paths
from stackr_schemas.container import Resources

if filesystem_type(ROOT) != CGROUP2_MAGIC:
    pytest.skip("the host's control groups are not version 2 alone", allow_module_level=True)
pytestmark = pytest.mark.requires("root", "cgroup-pids")


@pytest.fixture
def box(paths: Paths) -> Iterator[Path]:
    """A group with a process in it, as the root is inside a container."""
    outer = CgroupsV2(ROOT, paths.instance)
    folder = Path(outer.create("box", Resources(), None).path)
    pid = os.fork()
    if pid == 0:
        time.sleep(100)
        os._exit(0)
    (folder / "cgroup.procs").write_text(str(pid))
    yield folder
    outer.remove("box")
    outer.remove_parent()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_processes_move_aside_where_they_are_in_the_way(box: Path) -> None:
    (pid,) = (box / "cgroup.procs").read_text().split()
    inner = CgroupsV2(str(box), "inner")
    inner.create("one", Resources(pids_max=5, memory_max=1 << 20))
    assert (box / "inner" / "one" / "pids.max").read_text() == "5\n"
    assert inner.read("one") == Resources(pids_max=5, memory_max=1 << 20)
    assert (box / "cgroup.procs").read_text() == ""
    assert (box / "init" / "cgroup.procs").read_text().split() == [pid]


def test_what_other_software_enabled_stays_enabled(box: Path) -> None:
    before = Path(ROOT, "cgroup.subtree_control").read_text().split()
    CgroupsV2(str(box), "inner").create("one", Resources())
    assert set(before) <= set(Path(ROOT, "cgroup.subtree_control").read_text().split())
    assert {"cpu", "memory", "pids"} <= set(
        (box / "inner" / "cgroup.subtree_control").read_text().split()
    )
