"""Masked and read-only paths, sysctls: what the container may not see or change of the kernel."""

from __future__ import annotations

import os
import stat

from stackr_engine.spawn import syscalls
from stackr_engine.spawn.inside import open_inside
from stackr_engine.spawn.mounts import Options, attach, new_filesystem

PROC_MAGIC = 0x9FA0
SYSFS_MAGIC = 0x62656572


class NotGenuine(OSError):
    """/proc or /sys of the container is something else than the kernel's."""


def check_genuine(root: int, path: str, magic: int) -> None:
    """Raise unless `path` is the root of the kernel's own file system."""
    fd = open_inside(root, path, os.O_PATH, syscalls.RESOLVE_NO_SYMLINKS)
    try:
        if syscalls.fstatfs_type(fd) != magic:
            raise NotGenuine(1, "something else is mounted there", path)
    finally:
        os.close(fd)


def mask(root: int, paths: list[str]) -> None:
    """Cover files with the container's /dev/null and folders with an empty tmpfs."""
    null = _open_null(root) if paths else -1
    empty = -1
    for path in paths:
        try:
            target = open_inside(root, path, os.O_PATH, syscalls.RESOLVE_NO_SYMLINKS)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if not stat.S_ISDIR(os.fstat(target).st_mode):
            _cover(target, null)
        elif empty >= 0:
            _cover(target, empty)
        else:
            # Only what is attached can be cloned (before Linux 6.15): the first is the original.
            empty = new_filesystem("tmpfs", "tmpfs", Options(["ro", "nr_inodes=1", "size=0k"]))
            attach(empty, target)
        os.close(target)
    for fd in (null, empty):
        if fd >= 0:
            os.close(fd)


def _open_null(root: int) -> int:
    """Open /dev/null inside; a mask made of anything else would show its content."""
    fd = open_inside(root, "/dev/null", os.O_PATH, syscalls.RESOLVE_NO_SYMLINKS)
    found = os.fstat(fd)
    if not stat.S_ISCHR(found.st_mode) or found.st_rdev != os.makedev(1, 3):
        os.close(fd)
        raise NotGenuine(1, "this is not the null device", "/dev/null")
    return fd


def _cover(target: int, source: int) -> None:
    tree = syscalls.open_tree(source, "", syscalls.OPEN_TREE_CLONE | syscalls.AT_EMPTY_PATH)
    attach(tree, target)
    os.close(tree)


def make_read_only(root: int, paths: list[str]) -> None:
    """Bind each path over itself, read-only."""
    for path in paths:
        try:
            target = open_inside(root, path, os.O_PATH, syscalls.RESOLVE_NO_SYMLINKS)
        except (FileNotFoundError, NotADirectoryError):
            continue
        flags = syscalls.OPEN_TREE_CLONE | syscalls.AT_EMPTY_PATH | syscalls.AT_RECURSIVE
        tree = syscalls.open_tree(target, "", flags)
        syscalls.mount_setattr(tree, True, syscalls.MOUNT_ATTR_RDONLY, 0)
        attach(tree, target)
        os.close(tree)
        os.close(target)


def set_sysctls(proc: int, values: dict[str, str]) -> None:
    """Write kernel parameters below a /proc that is known to be genuine."""
    limits = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_XDEV
    for name, value in values.items():
        path = "sys/" + (name if "/" in name else name.replace(".", "/"))
        fd = syscalls.openat2(proc, path, os.O_WRONLY, limits)
        try:
            os.write(fd, value.encode())
        except OSError as error:
            raise OSError(error.errno, error.strerror, name) from None
        finally:
            os.close(fd)
