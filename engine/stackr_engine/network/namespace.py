"""Network namespaces that belong to the engine: kept by a bind mount, not by a process."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CLONE_NEWNET = 0x40000000
MS_BIND = 4096
MNT_DETACH = 2
NSFS_MAGIC = 0x6E736673

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)


def unshare(flags: int) -> None:
    """unshare(2) of the calling thread."""
    _check(_libc.unshare(flags), "unshare")


def setns(descriptor: int, flags: int) -> None:
    """setns(2) of the calling thread."""
    _check(_libc.setns(descriptor, flags), "setns")


@contextmanager
def _returning() -> Iterator[None]:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        try:
            setns(home, CLONE_NEWNET)
        except OSError:
            # A thread that went on in a container's namespace would act on the wrong machine.
            os.abort()
        os.close(home)


@contextmanager
def joined(descriptor: int) -> Iterator[None]:
    """Run the calling thread in the namespace of a descriptor."""
    with _returning():
        setns(descriptor, CLONE_NEWNET)
        yield


@contextmanager
def entered(path: Path) -> Iterator[int]:
    """Run the calling thread in the namespace at `path`; gives a descriptor of it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with joined(descriptor):
            yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def created(path: Path) -> Iterator[None]:
    """Make a namespace, keep it at `path`, and run the calling thread in it."""
    path.touch(mode=0o600)
    with _returning():
        unshare(CLONE_NEWNET)
        source = b"/proc/thread-self/ns/net"
        _check(_libc.mount(source, os.fsencode(path), None, MS_BIND, None), f"mount {path}")
        yield


def exists(path: Path) -> bool:
    """Tell whether a namespace (not only the file it was mounted on) is at `path`."""
    with suppress(FileNotFoundError):
        return _file_system(path) == NSFS_MAGIC
    return False


def _file_system(path: Path) -> int:
    buffer = (ctypes.c_long * 32)()
    if _libc.statfs(os.fsencode(path), buffer):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(path))
    return int(buffer[0])


def remove(path: Path) -> None:
    """Let the namespace go; the kernel ends it and its links when no process is in it."""
    while exists(path):
        _check(_libc.umount2(os.fsencode(path), MNT_DETACH), f"umount {path}")
    path.unlink(missing_ok=True)
