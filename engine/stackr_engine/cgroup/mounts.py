"""Finds out how control groups are mounted on this host."""

import ctypes
import os
from pathlib import Path

from stackr_schemas.errors import StackrError

from stackr_engine.cgroup.hierarchy import Cgroups
from stackr_engine.cgroup.v1 import CgroupsV1
from stackr_engine.cgroup.v2 import CgroupsV2

ROOT = "/sys/fs/cgroup"
CGROUP2_MAGIC = 0x63677270


def open_cgroups(parent: str, root: str = ROOT) -> Cgroups:
    """Return the host's control groups, those of the engine in a folder named `parent`.

    Nothing is made before the first container's group. Raise StackrError where there are none.
    """
    if filesystem_type(root) == CGROUP2_MAGIC:
        return CgroupsV2(writable_root(root), parent)
    hierarchies = v1_hierarchies(Path("/proc/self/mountinfo").read_text())
    if not hierarchies:
        raise StackrError(
            f"no control groups are mounted at {root}", hint="mount -t cgroup2 cgroup2 " + root
        )
    return CgroupsV1(hierarchies, parent)


def v1_hierarchies(mountinfo: str) -> dict[str, str]:
    """Return the mount point of each v1 controller; see proc(5) for the file."""
    found: dict[str, str] = {}
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fstype, _, options = right.split(" ", 2)
        if fstype == "cgroup":
            for word in options.split(","):
                found.setdefault(word, left.split()[4])
    return found


def writable_root(root: str) -> str:
    """Return the mounted root, or our own group where only that was given to us."""
    if os.access(f"{root}/cgroup.procs", os.W_OK):
        return root
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, _, path = line.split(":", 2)
        if number == "0":
            return root + path.rstrip("/")
    return root


def filesystem_type(path: str) -> int:
    """Return the magic number of the file system that holds a path, by statfs(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = (ctypes.c_long * 32)()
    if libc.statfs(path.encode(), ctypes.byref(buffer)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return buffer[0]
