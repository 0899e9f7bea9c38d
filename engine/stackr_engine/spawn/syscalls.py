"""The system calls that Python lacks, under their man-page names, with no policy."""

from __future__ import annotations

import ctypes
import errno
import os
from _struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MNT_DETACH = 2

MOUNT_ATTR_RDONLY = 0x01
MOUNT_ATTR_NOSUID = 0x02
MOUNT_ATTR_NODEV = 0x04
MOUNT_ATTR_NOEXEC = 0x08
MOUNT_ATTR_ATIME = 0x70
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR_NODIRATIME = 0x80
MOUNT_ATTR_NOSYMFOLLOW = 0x200000

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
OPEN_TREE_CLONE = 1
FSCONFIG_SET_FLAG = 0
FSCONFIG_SET_STRING = 1
FSCONFIG_CMD_CREATE = 6
CLOSE_RANGE_CLOEXEC = 4

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_SET_NAME = 15
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
PR_CAP_AMBIENT_CLEAR_ALL = 4

# Calls added since Linux 5.1 have one number on every architecture; older ones have not.
_GENERIC = (41, 219, 277, 134)
_OLD = {"x86_64": (155, 250, 317, 13), "aarch64": _GENERIC, "riscv64": _GENERIC}
_PIVOT_ROOT, _KEYCTL, _SECCOMP, _RT_SIGACTION = _OLD.get(os.uname().machine, (-1,) * 4)
_CAPABILITY_VERSION_3 = 0x20080522

_INT, _TEXT, _POINTER = ctypes.c_long, ctypes.c_char_p, ctypes.c_void_p
_libc = ctypes.CDLL(None, use_errno=True)


def _system_call(*types: Any) -> Callable[..., int]:
    """Say once what a call takes: flags are 64 bits wide, but an int would travel as a C int."""
    function = _libc["syscall"]
    function.restype = _INT
    function.argtypes = (_INT, *types)
    return function


# Made once, here: a look-up makes objects, and they would be memory in every shim.
_unshare, _setns, _mount, _umount2 = _libc.unshare, _libc.setns, _libc.mount, _libc.umount2
_fstatfs, _capset, _setdomainname = _libc.fstatfs, _libc.capset, _libc.setdomainname
_prctl, _prctl_text = _libc["prctl"], _libc["prctl"]
_prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
_prctl_text.argtypes = (ctypes.c_int, _TEXT)
_pivot_root = _system_call(_TEXT, _TEXT)
_open_tree = _system_call(_INT, _TEXT, _INT)
_move_mount = _system_call(_INT, _TEXT, _INT, _TEXT, _INT)
_fsopen = _system_call(_TEXT, _INT)
_fsconfig = _system_call(_INT, _INT, _TEXT, _TEXT, _INT)
_three_numbers = _system_call(_INT, _INT, _INT)
_openat2 = _system_call(_INT, _TEXT, _TEXT, _INT)
_mount_setattr = _system_call(_INT, _TEXT, _INT, _TEXT, _INT)
_seccomp = _system_call(_INT, _INT, _POINTER)
_keyctl = _system_call(_INT, _TEXT)
_rt_sigaction = _system_call(_INT, _TEXT, _POINTER, _INT)
_open_how = Struct("=QQQ").pack
_mount_attr = Struct("=QQQQ").pack


class _Statfs(ctypes.Structure):
    _fields_ = (("f_type", ctypes.c_long), ("rest", ctypes.c_long * 31))


class _SockFprog(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _checked(result: int, name: object = None) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return result


def unshare(flags: int) -> None:
    """Call unshare(2)."""
    _checked(_unshare(flags))


def setns(fd: int, flags: int) -> None:
    """Call setns(2)."""
    _checked(_setns(fd, flags))


def mount(source: str, target: str, fstype: str, flags: int, data: str) -> None:
    """Call mount(2); raise OSError with the target."""
    arguments = (os.fsencode(source), os.fsencode(target), fstype.encode())
    _checked(_mount(*arguments, ctypes.c_ulong(flags), os.fsencode(data) or None), target)


def umount2(target: str, flags: int) -> None:
    """Call umount2(2); raise OSError with the target."""
    _checked(_umount2(os.fsencode(target), flags), target)


def pivot_root(new_root: str, put_old: str) -> None:
    """Call pivot_root(2)."""
    _checked(_pivot_root(_PIVOT_ROOT, os.fsencode(new_root), os.fsencode(put_old)), new_root)


def open_tree(dir_fd: int, path: str, flags: int) -> int:
    """Call open_tree(2) and return the new descriptor; raise OSError with the path."""
    return _checked(_open_tree(428, dir_fd, os.fsencode(path), flags | os.O_CLOEXEC), path)


def move_mount(from_fd: int, to_fd: int) -> None:
    """Call move_mount(2) on two descriptors."""
    _checked(_move_mount(429, from_fd, b"", to_fd, b"", 0x04 | 0x40))


def fsopen(fstype: str) -> int:
    """Call fsopen(2) and return the new descriptor; raise OSError with the type."""
    return _checked(_fsopen(430, fstype.encode(), 1), fstype)


def fsconfig(fd: int, command: int, key: str | None, value: str | None) -> None:
    """Call fsconfig(2); raise OSError with the key."""
    raw_key = None if key is None else key.encode()
    raw_value = None if value is None else os.fsencode(value)
    _checked(_fsconfig(431, fd, command, raw_key, raw_value, 0), key)


def fsmount(fd: int, attributes: int) -> int:
    """Call fsmount(2) and return the detached mount's descriptor."""
    return _checked(_three_numbers(432, fd, 1, attributes))


def close_range(first: int, last: int, flags: int) -> None:
    """Call close_range(2)."""
    _checked(_three_numbers(436, first, last, flags))


def openat2(dir_fd: int, path: str | bytes, flags: int, resolve: int, mode: int = 0) -> int:
    """Call openat2(2) and return the new descriptor; raise OSError with the path."""
    how = _open_how(flags | os.O_CLOEXEC, mode, resolve)
    return _checked(_openat2(437, dir_fd, os.fsencode(path), how, len(how)), path)


def mount_setattr(fd: int, recursive: bool, on: int, off: int, propagation: int = 0) -> None:
    """Call mount_setattr(2) on a descriptor."""
    attributes = _mount_attr(on, off, propagation, 0)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    _checked(_mount_setattr(442, fd, b"", flags, attributes, len(attributes)))


def fstatfs_type(fd: int) -> int:
    """Call fstatfs(2) and return the file system's magic number."""
    buffer = _Statfs()
    _checked(_fstatfs(fd, ctypes.byref(buffer)))
    return int(buffer.f_type)


def prctl(option: int, *arguments: int) -> int:
    """Call prctl(2)."""
    return _checked(_prctl(option, *arguments, *(0,) * (4 - len(arguments))), f"prctl {option}")


def set_name(name: str) -> None:
    """Set the name that ps shows for this process, at most 15 bytes of it."""
    _checked(_prctl_text(PR_SET_NAME, name.encode()), "prctl PR_SET_NAME")


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """Call capset(2) for this process; sets are bit masks."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    low = (effective & 0xFFFFFFFF, permitted & 0xFFFFFFFF, inheritable & 0xFFFFFFFF)
    data = (ctypes.c_uint32 * 6)(*low, effective >> 32, permitted >> 32, inheritable >> 32)
    _checked(_capset(header, data), "capset")


def seccomp(flags: int, program: bytes) -> None:
    """Call seccomp(2) to install a filter, an array of `struct sock_filter`."""
    prog = _SockFprog(len(program) // 8, program)
    _checked(_seccomp(_SECCOMP, 1, flags, ctypes.byref(prog)), "seccomp")


def join_session_keyring(name: str) -> None:
    """Call keyctl(2) to leave the caller's session keyring for a new one, if there are keyrings."""
    try:
        _checked(_keyctl(_KEYCTL, 1, name.encode()), "keyctl")
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise


def rt_sigaction_default(number: int) -> None:
    """Give a signal its default action, also those that the C library keeps to itself."""
    _checked(_rt_sigaction(_RT_SIGACTION, number, bytes(32), None, 8), f"signal {number}")


def setdomainname(name: str) -> None:
    """Call setdomainname(2)."""
    raw = name.encode()
    _checked(_setdomainname(raw, ctypes.c_size_t(len(raw))), name)


def overwrite(address: int, data: bytes) -> None:
    """Write to this process's own memory."""
    ctypes.memmove(address, data, len(data))
