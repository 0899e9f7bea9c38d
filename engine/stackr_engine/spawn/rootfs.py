"""The container's root: an overlay over an image's layers, and the change into it."""

from __future__ import annotations

import errno
import os

from stackr_engine.spawn import syscalls
from stackr_engine.spawn.mounts import Options, attach, new_filesystem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FIXED: list[tuple[str, str | None]] = [("index", "off")]
_LONGEST_STRING = 255
"""Bytes of a value that fsconfig(2) takes."""


def mount_root(path: str, overlay: dict[str, Any] | None) -> int:
    """Mount the root at `path` and return it as a descriptor; without overlay bind the folder."""
    if overlay is None:
        flags = syscalls.OPEN_TREE_CLONE | syscalls.AT_RECURSIVE
        _attach_at(path, syscalls.open_tree(syscalls.AT_FDCWD, path, flags))
    else:
        mount_overlay(path, overlay["lowers"], overlay["upper"], overlay["work"])
    # A descriptor opened before would still be the folder below the mount.
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _attach_at(path: str, tree: int) -> None:
    target = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    attach(tree, target)
    os.close(target)
    os.close(tree)


def mount_overlay(path: str, lowers: list[str], upper: str, work: str) -> None:
    """Mount an overlay at `path`; lowers uppermost first."""
    folders = [("lowerdir+", lower) for lower in lowers]
    folders += [("upperdir", upper), ("workdir", work)]
    if max(len(os.fsencode(folder)) for _, folder in folders) > _LONGEST_STRING:
        return mount_overlay_by_names(path, lowers, upper, work)
    options = Options([])
    options.data = [*_FIXED, *folders]
    try:
        return _attach_at(path, new_filesystem("overlay", "overlay", options))
    except OSError as error:
        if error.errno != errno.EINVAL or _has_lowerdir_plus():
            raise
        return mount_overlay_by_names(path, lowers, upper, work)


def _has_lowerdir_plus() -> bool:
    """Tell whether overlayfs takes its lowers one by one (Linux 6.8)."""
    context = syscalls.fsopen("overlay")
    try:
        syscalls.fsconfig(context, syscalls.FSCONFIG_SET_STRING, "lowerdir+", "/")
    except OSError as error:
        return error.errno != errno.EINVAL
    finally:
        os.close(context)
    return True


def mount_overlay_by_names(path: str, lowers: list[str], upper: str, work: str) -> None:
    """Mount an overlay through one option string, for older kernels and very long paths.

    The string has to fit in a page and may hold neither commas nor colons of paths: so it names
    links of one to three digits, in a tmpfs that nobody else sees.
    """
    names = new_filesystem("tmpfs", "tmpfs", Options(["mode=700"]))
    before = os.open(".", os.O_PATH | os.O_CLOEXEC)
    try:
        os.fchdir(names)
        for name, folder in (*enumerate(lowers), ("u", upper), ("w", work)):
            os.symlink(folder, str(name))
        joined = ":".join(str(index) for index in range(len(lowers)))
        options = ",".join(f"{key}={value}" for key, value in _FIXED)
        data = f"{options},lowerdir={joined},upperdir=u,workdir=w"
        syscalls.mount("overlay", path, "overlay", 0, data)
    finally:
        os.fchdir(before)
        os.close(before)
        os.close(names)


def enter_root(root: int) -> None:
    """Make `root` the mount namespace's root and let go of the old one."""
    old = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    os.fchdir(root)
    syscalls.pivot_root(".", ".")
    # The old root now lies over the new one; umount of its "." uncovers it.
    os.fchdir(old)
    syscalls.umount2(".", syscalls.MNT_DETACH)
    os.close(old)
    os.chdir("/")
