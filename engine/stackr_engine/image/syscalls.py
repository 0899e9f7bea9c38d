"""The system calls that Python lacks, under their man-page names, with no policy."""

import ctypes
import os

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_REMOUNT = 32
MNT_DETACH = 2

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08

# The same number on every architecture: calls added since Linux 5.1 share one table.
_SYS_OPENAT2 = 437

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def _raise(path: str | bytes) -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), os.fsdecode(path))


def mount(source: str, target: str, fstype: str, flags: int, data: str) -> None:
    """Call mount(2); raise OSError with the target."""
    arguments = (os.fsencode(source), os.fsencode(target), fstype.encode())
    if _libc.mount(*arguments, ctypes.c_ulong(flags), os.fsencode(data) or None):
        _raise(target)


def umount2(target: str, flags: int) -> None:
    """Call umount2(2); raise OSError with the target."""
    if _libc.umount2(os.fsencode(target), flags):
        _raise(target)


def openat2(dir_fd: int, path: bytes, flags: int, resolve: int, mode: int = 0) -> int:
    """Call openat2(2) and return the new descriptor; raise OSError with the path."""
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    fd: int = _libc.syscall(_SYS_OPENAT2, dir_fd, path, ctypes.byref(how), ctypes.sizeof(how))
    if fd < 0:
        _raise(path)
    return fd


def syncfs(fd: int) -> None:
    """Call syncfs(2): write everything of the descriptor's file system to the disk."""
    if _libc.syncfs(fd):
        _raise(f"/proc/self/fd/{fd}")
