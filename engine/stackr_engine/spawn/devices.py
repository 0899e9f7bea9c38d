"""/dev of a container: the standard nodes and links, and those of the config."""

from __future__ import annotations

import os
import stat
from fcntl import ioctl

from stackr_engine.spawn import syscalls
from stackr_engine.spawn.inside import make_inside, open_inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NODES = (
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
)
_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
)
_KINDS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}
DEVPTS_MAGIC = 0x1CD1


def make_standard_devices(root: int) -> None:
    """Create the nodes and links that every container has."""
    folder = open_inside(root, "/dev", os.O_RDONLY | os.O_DIRECTORY)
    before = os.umask(0)
    try:
        for name, major, minor in _NODES:
            _make_node(folder, name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
        for name, target in _LINKS:
            _make_link(folder, name, target)
    finally:
        os.umask(before)
        os.close(folder)


def _make_node(folder: int, name: str, mode: int, device: int) -> None:
    try:
        os.mknod(name, mode, device, dir_fd=folder)
    except FileExistsError:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if (stat.S_IFMT(found.st_mode), found.st_rdev) != (stat.S_IFMT(mode), device):
            raise


def _make_link(folder: int, name: str, target: str) -> None:
    try:
        os.symlink(target, name, dir_fd=folder)
    except FileExistsError:
        return


def make_device(root: int, device: dict[str, Any]) -> None:
    """Create one node of the config's `linux.devices`."""
    path = device["path"]
    folder_name, _, name = path.rpartition("/")
    folder = make_inside(root, folder_name or "/", True)
    before = os.umask(0)
    try:
        mode = _KINDS[device["type"]] | device.get("fileMode", 0o666)
        _make_node(folder, name, mode, os.makedev(device.get("major", 0), device.get("minor", 0)))
        os.chown(name, device.get("uid", 0), device.get("gid", 0), dir_fd=folder)
    finally:
        os.umask(before)
        os.close(folder)


def open_terminal(root: int) -> tuple[int, int]:
    """Open a new terminal of the container's own devpts; return master and slave.

    The container may have put anything in place of /dev: only a real ptmx of a devpts is used,
    and the slave is opened from the master, not by a path.
    """
    master = open_inside(
        root, "/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY, syscalls.RESOLVE_NO_SYMLINKS
    )
    is_ptmx = os.fstat(master).st_rdev == os.makedev(5, 2)
    if not is_ptmx or syscalls.fstatfs_type(master) != DEVPTS_MAGIC:
        os.close(master)
        raise OSError(19, "not a terminal multiplexer", "/dev/pts/ptmx")
    return master, _open_peer(master)


def _open_peer(master: int) -> int:
    ioctl(master, 0x40045431, b"\0\0\0\0")  # TIOCSPTLCK: unlock
    return ioctl(master, 0x5441, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)  # TIOCGPTPEER


def bind_console(root: int, slave: int) -> None:
    """Show the terminal at /dev/console."""
    target = make_inside(root, "/dev/console", False)
    flags = syscalls.OPEN_TREE_CLONE | syscalls.AT_EMPTY_PATH
    tree = syscalls.open_tree(slave, "", flags)
    syscalls.move_mount(tree, target)
    os.close(tree)
    os.close(target)
