"""Paths inside a container's root: no link of an image or a volume leads out of it."""

from __future__ import annotations

import errno
import os

from stackr_engine.spawn import syscalls

_IN_ROOT = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
_MAX_LINKS = 40


def open_inside(root: int, path: str, flags: int = os.O_PATH, resolve: int = 0) -> int:
    """Open a path as if `root` were /; `resolve` adds restrictions of openat2(2)."""
    for _ in range(32):
        try:
            return syscalls.openat2(root, path, flags, _IN_ROOT | resolve)
        except BlockingIOError:  # a rename somewhere on the host made ".." unsafe to follow
            continue
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), path)


def make_inside(root: int, path: str, is_folder: bool) -> int:
    """Open a path inside `root` by O_PATH, creating what is missing of it.

    Dangling links are followed: images of systemd systems have a /etc/resolv.conf that points
    into /run.
    """
    rest = path
    for _ in range(_MAX_LINKS + path.count("/")):
        try:
            return open_inside(root, rest)
        except FileNotFoundError:
            rest = _make_first_missing(root, rest, is_folder)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def _make_first_missing(root: int, path: str, is_folder: bool) -> str:
    names = [name for name in path.split("/") if name not in ("", ".")]
    parent = os.dup(root)
    try:
        for index, name in enumerate(names):
            above = "/" + "/".join(names[:index])
            try:
                found = open_inside(root, f"{above}/{name}")
            except FileNotFoundError:
                is_last = index == len(names) - 1
                return _make(parent, above, names[index:], is_folder or not is_last)
            os.close(parent)
            parent = found
    finally:
        os.close(parent)
    return path


def _make(parent: int, above: str, names: list[str], is_folder: bool) -> str:
    name = names[0]
    try:
        link = os.readlink(name, dir_fd=parent)
    except OSError:
        if is_folder:
            os.mkdir(name, 0o755, dir_fd=parent)
        else:
            flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(name, flags, 0o644, dir_fd=parent))
        return "/".join((above, *names))
    return "/".join((link if link.startswith("/") else f"{above}/{link}", *names[1:]))
