"""Deleting without waiting: rename into the trash folder, delete in the background."""

import contextlib
import errno
import logging
import os
import secrets
import stat
import threading
import time
from functools import cache
from pathlib import Path

from stackr_engine.paths import Paths
from stackr_engine.spawn.syscalls import RESOLVE_BENEATH, RESOLVE_NO_XDEV, openat2

_log = logging.getLogger(__name__)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_DEEP = 64
_MOMENT = 1.0
"""Seconds without deleting after a command began: threads share the interpreter with it."""
_PATIENCE = 30.0
"""Seconds after which commands that never end make room for deleting."""


def discard(paths: Paths, path: Path) -> None:
    """Make `path`, if it exists, disappear at once; delete what is in it later."""
    _trash(paths.trash).discard(path)


def resume(paths: Paths) -> None:
    """Delete in the background what is in the trash, also what a killed process left there."""
    _trash(paths.trash).resume()


def give_way(paths: Paths) -> None:
    """Delete nothing for the next moment: a user's command comes first."""
    _trash(paths.trash).give_way()


def wait(paths: Paths) -> None:
    """Return when the trash is empty, or holds only what cannot be deleted."""
    _trash(paths.trash).wait()


class _Trash:
    """A trash folder and the one thread that empties it, which ends when there is no more."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._lock = threading.Lock()
        self._worker: threading.Thread | None = None
        self._is_wanted = False
        self._quiet_until = 0.0
        self._hurry = threading.Event()
        """Set while somebody waits for the end."""

    def give_way(self) -> None:
        self._quiet_until = time.monotonic() + _MOMENT

    def discard(self, path: Path) -> None:
        grave = self._folder / f"{path.name[:32]}-{secrets.token_hex(6)}"
        try:
            os.rename(path, grave)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            delete_tree(path)  # the trash is on another file system
            return
        self.resume()

    def resume(self) -> None:
        with self._lock:
            self._is_wanted = True
            if self._worker is None:
                self._worker = threading.Thread(target=self._empty, name="trash", daemon=True)
                self._worker.start()

    def wait(self) -> None:
        with self._lock:
            worker = self._worker
        if worker:
            self._hurry.set()
            worker.join()
            self._hurry.clear()

    def _empty(self) -> None:
        # On Linux this is the thread's own priority: users' work goes first.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        while self._take_order():
            with contextlib.suppress(FileNotFoundError):
                patience_ends = time.monotonic() + _PATIENCE
                for entry in list(os.scandir(self._folder)):
                    self._await_quiet(patience_ends)
                    delete_tree(Path(entry.path))

    def _await_quiet(self, patience_ends: float) -> None:
        while (now := time.monotonic()) < min(self._quiet_until, patience_ends):
            if self._hurry.wait(min(self._quiet_until, patience_ends) - now):
                return

    def _take_order(self) -> bool:
        with self._lock:
            is_wanted, self._is_wanted = self._is_wanted, False
            if not is_wanted:
                self._worker = None
            return is_wanted


@cache
def _trash(folder: Path) -> _Trash:
    return _Trash(folder)


def delete_tree(path: Path) -> None:
    """Delete a file or folder, never following links and never entering another mount.

    What cannot be deleted stays, and is logged.
    """
    top = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        Deletion(top).delete(os.fsencode(path.name))
    finally:
        os.close(top)


class Deletion:
    """Deleting one entry of the folder `top`, however deep it is."""

    def __init__(self, top: int):
        self._top = top
        self._pending: list[bytes] = []

    def delete(self, name: bytes) -> None:
        """Delete it, never following links and never entering another mount."""
        self._pending.append(name)
        while self._pending:
            self._delete(self._top, self._pending.pop(), 0)

    def _delete(self, parent: int, name: bytes, depth: int) -> None:
        try:
            if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=parent)
            elif depth > _DEEP:
                self._postpone(parent, name)
            else:
                self._delete_content(parent, name, depth)
                os.rmdir(name, dir_fd=parent)
        except FileNotFoundError:
            pass
        except OSError as error:
            _log.warning("cannot delete %s: %s", os.fsdecode(name), error.strerror)

    def _delete_content(self, parent: int, name: bytes, depth: int) -> None:
        # A bind mount that was forgotten in here is someone's data: NO_XDEV stops at any mount.
        folder = openat2(parent, name, _FOLDER, RESOLVE_BENEATH | RESOLVE_NO_XDEV)
        try:
            for child in os.listdir(folder):
                self._delete(folder, os.fsencode(child), depth + 1)
        finally:
            os.close(folder)

    def _postpone(self, parent: int, name: bytes) -> None:
        """Move a folder up to `top`: neither Python's stack nor descriptors are without end."""
        moved = b"deep-%s" % secrets.token_hex(6).encode()
        os.rename(name, moved, src_dir_fd=parent, dst_dir_fd=self._top)
        self._pending.append(moved)
