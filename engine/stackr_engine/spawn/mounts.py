"""Mounts of an OCI config, made as detached trees and attached by descriptor."""

from __future__ import annotations

import os
import stat

from stackr_engine.spawn import syscalls
from stackr_engine.spawn.inside import make_inside, open_inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ATIME = syscalls.MOUNT_ATTR_ATIME
_ATTRIBUTES = {  # option: attributes to set, attributes to clear
    "ro": (syscalls.MOUNT_ATTR_RDONLY, 0),
    "rw": (0, syscalls.MOUNT_ATTR_RDONLY),
    "nosuid": (syscalls.MOUNT_ATTR_NOSUID, 0),
    "suid": (0, syscalls.MOUNT_ATTR_NOSUID),
    "nodev": (syscalls.MOUNT_ATTR_NODEV, 0),
    "dev": (0, syscalls.MOUNT_ATTR_NODEV),
    "noexec": (syscalls.MOUNT_ATTR_NOEXEC, 0),
    "exec": (0, syscalls.MOUNT_ATTR_NOEXEC),
    "relatime": (0, _ATIME),
    "noatime": (syscalls.MOUNT_ATTR_NOATIME, _ATIME),
    "strictatime": (syscalls.MOUNT_ATTR_STRICTATIME, _ATIME),
    "nodiratime": (syscalls.MOUNT_ATTR_NODIRATIME, 0),
    "nosymfollow": (syscalls.MOUNT_ATTR_NOSYMFOLLOW, 0),
}
_PROPAGATION = {
    "private": syscalls.MS_PRIVATE,
    "slave": syscalls.MS_SLAVE,
    "shared": syscalls.MS_SHARED,
    "unbindable": syscalls.MS_UNBINDABLE,
}
_SILENT = {"bind", "rbind", "defaults", "async", "atime", "diratime"}


class Options:
    """A mount's option words, sorted by what has to be done with them."""

    __slots__ = ("cleared", "data", "is_recursive", "propagation", "recursive", "set")

    def __init__(self, words: list[str]):
        self.set = self.cleared = 0
        self.recursive: list[tuple[int, int]] = []
        self.propagation: list[tuple[bool, int]] = []
        self.data: list[tuple[str, str | None]] = []
        self.is_recursive = "rbind" in words
        for word in words:
            self._add(word)

    def _add(self, word: str) -> None:
        if word in _ATTRIBUTES:
            on, off = _ATTRIBUTES[word]
            self.set = self.set & ~off | on
            self.cleared |= off
        elif word[:1] == "r" and word[1:] in _ATTRIBUTES:
            self.recursive.append(_ATTRIBUTES[word[1:]])
        elif word.removeprefix("r") in _PROPAGATION:
            self.propagation.append((word[0] == "r", _PROPAGATION[word.removeprefix("r")]))
        elif word not in _SILENT:
            key, equals, value = word.partition("=")
            self.data.append((key, value if equals else None))


def new_filesystem(fstype: str, source: str, options: Options) -> int:
    """Create a file system as a detached mount."""
    context = syscalls.fsopen(fstype)
    try:
        syscalls.fsconfig(context, syscalls.FSCONFIG_SET_STRING, "source", source or fstype)
        for key, value in options.data:
            command = syscalls.FSCONFIG_SET_FLAG if value is None else syscalls.FSCONFIG_SET_STRING
            syscalls.fsconfig(context, command, key, value)
        syscalls.fsconfig(context, syscalls.FSCONFIG_CMD_CREATE, None, None)
        return syscalls.fsmount(context, options.set)
    except OSError as error:
        raise OSError(error.errno, _kernel_message(context) or error.strerror) from None
    finally:
        os.close(context)


def _kernel_message(context: int) -> str:
    """What the kernel wrote about a failed fsconfig(2), if anything."""
    try:
        return os.read(context, 512).decode(errors="replace")[2:].strip()
    except OSError:
        return ""


def clone_tree(mount: dict[str, Any]) -> int:
    """Clone the source of a bind mount as a detached tree.

    This happens in the host's mount namespace, so that shared and slave trees keep their peers.
    """
    options = Options(mount.get("options", []))
    flags = syscalls.OPEN_TREE_CLONE | (syscalls.AT_RECURSIVE if options.is_recursive else 0)
    source = _open_source(mount)
    try:
        tree = syscalls.open_tree(source, "", flags | syscalls.AT_EMPTY_PATH)
    finally:
        os.close(source)
    return tree


def _open_source(mount: dict[str, Any]) -> int:
    folder = os.open(mount["source"], os.O_PATH | os.O_CLOEXEC)
    if not mount.get("subpath"):
        return folder
    try:
        return open_inside(folder, mount["subpath"])
    finally:
        os.close(folder)


def attach(tree: int, target: int) -> None:
    """Attach a detached tree to an open mount point."""
    syscalls.move_mount(tree, target)


def bind(root: int, mount: dict[str, Any], tree: int) -> None:
    """Attach a cloned tree at its destination, with its options."""
    options = Options(mount.get("options", []))
    if options.set or options.cleared:
        syscalls.mount_setattr(tree, False, options.set, options.cleared)
    for on, off in options.recursive:
        syscalls.mount_setattr(tree, True, on, off)
    for recursive, kind in options.propagation:
        syscalls.mount_setattr(tree, recursive, 0, 0, kind)
    target = make_inside(root, mount["destination"], stat.S_ISDIR(os.fstat(tree).st_mode))
    try:
        attach(tree, target)
    finally:
        os.close(target)


def mount_filesystem(root: int, mount: dict[str, Any]) -> int:
    """Mount a new file system at its destination; return the mount's descriptor.

    An image's link in place of /proc or /sys would take the masked paths away from where
    programs look, so those two must be folders.
    """
    tree = new_filesystem(mount["type"], mount.get("source", ""), Options(mount.get("options", [])))
    target = make_inside(root, mount["destination"], True)
    if mount["type"] in ("proc", "sysfs"):
        os.close(target)
        target = open_inside(root, mount["destination"], resolve=syscalls.RESOLVE_NO_SYMLINKS)
    try:
        attach(tree, target)
    finally:
        os.close(target)
    return tree
