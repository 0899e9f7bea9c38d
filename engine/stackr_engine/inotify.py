"""Notices changes in folders: inotify(7), one instance for all who wait.

A user has 128 instances on most hosts, so a follower cannot have one of its own; a thread reads
the one there is and wakes those whom an event concerns.
"""

import ctypes
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

IN_MODIFY = 0x2
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_Q_OVERFLOW = 0x4000
IN_IGNORED = 0x8000
IN_ONLYDIR = 0x01000000
GONE = IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED
CHANGES = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
_HEADER = struct.Struct("=iIII")


@dataclass(frozen=True)
class Event:
    """One change: the watch that saw it, IN_ flags, and the name in the folder."""

    watch: int
    mask: int
    name: str


class Inotify:
    """The system calls; OSError names the path."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.inotify_init1(os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "inotify")

    def add(self, path: str, mask: int) -> int:
        """Call inotify_add_watch(2); a path that is watched already gives the same number."""
        watch: int = self._libc.inotify_add_watch(self.fd, os.fsencode(path), mask)
        if watch < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
        return watch

    def remove(self, watch: int) -> None:
        """Call inotify_rm_watch(2); a watch that is gone already is no error."""
        self._libc.inotify_rm_watch(self.fd, watch)

    def read(self) -> list[Event]:
        """Wait for events and return all that there are."""
        data = os.read(self.fd, 65536)
        events = []
        place = 0
        while place < len(data):
            watch, mask, _, length = _HEADER.unpack_from(data, place)
            place += _HEADER.size
            name = data[place : place + length].rstrip(b"\0")
            events.append(Event(watch, mask, os.fsdecode(name)))
            place += length
        return events


class Subscription:
    """Readable at `fd` when something has changed since the last `clear`."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.is_gone = False
        """Whether the folder was removed or moved away."""

    def clear(self) -> None:
        """Be ready for the next change; call it before looking, not after."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            return


class Watcher:
    """One inotify instance and the thread that tells its events to subscriptions."""

    def __init__(self) -> None:
        self._inotify = Inotify()
        self._lock = threading.Lock()
        self._subscriptions: dict[int, set[Subscription]] = {}
        threading.Thread(target=self._run, name="inotify", daemon=True).start()

    @contextmanager
    def watch(self, folder: Path) -> Iterator[Subscription]:
        """Subscribe to the changes of what is in a folder; OSError where there is no folder."""
        subscription = Subscription()
        try:
            with self._lock:
                number = self._inotify.add(str(folder), CHANGES)
                self._subscriptions.setdefault(number, set()).add(subscription)
            try:
                yield subscription
            finally:
                self._leave(number, subscription)
        finally:
            os.close(subscription.fd)

    def _leave(self, number: int, subscription: Subscription) -> None:
        with self._lock:
            others = self._subscriptions.get(number)
            if others is None:
                return
            others.discard(subscription)
            if not others:
                del self._subscriptions[number]
                self._inotify.remove(number)

    def _run(self) -> None:
        while True:
            events = self._inotify.read()
            with self._lock:
                for event in events:
                    self._tell(event)

    def _tell(self, event: Event) -> None:
        if event.mask & IN_Q_OVERFLOW:
            concerned = {one for some in self._subscriptions.values() for one in some}
        else:
            concerned = self._subscriptions.get(event.watch, set())
        for subscription in concerned:
            subscription.is_gone = subscription.is_gone or bool(event.mask & GONE)
            os.eventfd_write(subscription.fd, 1)
        if event.mask & IN_IGNORED:
            self._subscriptions.pop(event.watch, None)


@cache
def shared_watcher() -> Watcher:
    """Return this process's watcher."""
    return Watcher()
