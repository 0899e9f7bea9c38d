"""The container's own view of its control groups."""

from __future__ import annotations

import os

from stackr_engine.spawn import files, syscalls
from stackr_engine.spawn.inside import make_inside, open_inside
from stackr_engine.spawn.mounts import Options, attach, new_filesystem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CGROUP2_MAGIC = 0x63677270


def join(paths: list[str]) -> None:
    """Move this process into the groups whose cgroup.procs files are given."""
    for path in paths:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, b"0")
        finally:
            os.close(fd)


def join_open(fds: list[int]) -> None:
    """Move this process into the groups whose open cgroup.procs files are given."""
    for fd in fds:
        os.write(fd, b"0")


def is_unified() -> bool:
    """Tell whether the host has cgroup v2 alone."""
    fd = os.open("/sys/fs/cgroup", os.O_PATH | os.O_CLOEXEC)
    try:
        return syscalls.fstatfs_type(fd) == CGROUP2_MAGIC
    finally:
        os.close(fd)


def v1_hierarchies(text: str) -> list[tuple[str, list[str]]]:
    """Read /proc/self/cgroup: the folder name and the mount options of each v1 hierarchy."""
    found = []
    for line in text.splitlines():
        number, controllers, _ = line.split(":", 2)
        if number != "0":
            name = controllers.removeprefix("name=")
            named = ["none", controllers] if name != controllers else controllers.split(",")
            found.append((name, named))
    return found


def mount_cgroup(root: int, mount: dict[str, Any]) -> None:
    """Mount the hierarchies as seen from this process's cgroup namespace."""
    options = Options(mount.get("options", []))
    target = make_inside(root, mount["destination"], True)
    if is_unified():
        _attach(new_filesystem("cgroup2", "cgroup", options), target)
        return
    hierarchies = v1_hierarchies(files.read_bytes("/proc/self/cgroup").decode())
    folder = Options(["nosuid", "nodev", "noexec", "mode=755"])
    tree = new_filesystem("tmpfs", "tmpfs", folder)
    attach(tree, target)
    os.close(target)
    for name, words in hierarchies:
        _mount_hierarchy(tree, name, words, options)
    syscalls.mount_setattr(tree, False, options.set, options.cleared)
    os.close(tree)


def _mount_hierarchy(folder: int, name: str, words: list[str], options: Options) -> None:
    os.mkdir(name, 0o755, dir_fd=folder)
    for alias in name.split(",") if "," in name else ():
        os.symlink(name, alias, dir_fd=folder)
    hierarchy = Options(words)
    hierarchy.set = options.set
    _attach(new_filesystem("cgroup", "cgroup", hierarchy), open_inside(folder, name))


def _attach(tree: int, target: int) -> None:
    attach(tree, target)
    os.close(tree)
    os.close(target)
