"""Follows a log through rotation: every line once, without polling."""

import calendar
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

from stackr_engine.inotify import Subscription, shared_watcher
from stackr_engine.logs import reading
from stackr_engine.logs.records import Joiner, Record, Span

BLOCK = 1 << 17


def follow(
    file: Path,
    stop: int,
    tail: int | None = None,
    span: Span = Span(),  # noqa: B008
) -> Iterator[Record]:
    """Yield a log's lines, or its last `tail` ones, and then each new one.

    It ends, after all that was written by then, when the descriptor `stop` becomes readable, when
    the folder goes away, or when the time of `span.until` is over. The file may come later.
    """
    joiner = Joiner()
    try:
        with shared_watcher().watch(file.parent) as changes, Cursor(file) as cursor:
            lines = _lines(cursor, cursor.begin(tail), changes, stop, span)
            yield from joiner.join(reading.select(lines, span))
            yield from joiner.rest()
    except FileNotFoundError:
        return  # the folder is gone


def _lines(
    cursor: "Cursor", first: Iterator[bytes], changes: Subscription, stop: int, span: Span
) -> Iterator[bytes]:
    yield from first
    is_over = False
    while True:
        # What changed before this is seen by looking, what changes after it wakes us again.
        changes.clear()
        yield from cursor.new_lines()
        if is_over:
            return
        is_over = _wait(changes, stop, span)


def _wait(changes: Subscription, stop: int, span: Span) -> bool:
    """Sleep until something changes; tell whether that is the end."""
    if changes.is_gone:
        return True
    poller = select.poll()
    poller.register(changes.fd, select.POLLIN)
    poller.register(stop, select.POLLIN)
    ready = poller.poll(_milliseconds_until(span))
    return not ready or changes.is_gone or any(fd == stop for fd, _ in ready)


def _milliseconds_until(span: Span) -> int | None:
    if not span.until:
        return None
    seconds = calendar.timegm(time.strptime(span.until[:19], "%Y-%m-%dT%H:%M:%S"))
    return max(0, int((seconds + 1 - time.time()) * 1000))


class Cursor:
    """A place in a log that moves on from file to file as they are rotated."""

    def __init__(self, file: Path):
        self._file = file
        self._fd = -1
        self._offset = 0
        self._rest = b""

    def __enter__(self) -> "Cursor":
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def begin(self, tail: int | None) -> Iterator[bytes]:
        """Yield what is there, and stand behind it."""
        with reading.Chain(self._file) as chain:
            if not chain.fds:
                return
            self._fd = os.dup(chain.fds[-1])
            yield from chain.lines(chain.start_for(tail))
            self._offset = chain.end

    def new_lines(self) -> Iterator[bytes]:
        """Yield all whole lines that were written since."""
        yield from self._read_on()
        while (fd := self._open_next()) is not None:
            yield from self._read_on()  # what came between the last look and the rotation
            if self._fd >= 0:
                os.close(self._fd)
            self._fd, self._offset, self._rest = fd, 0, b""
            yield from self._read_on()

    def _read_on(self) -> Iterator[bytes]:
        if self._fd < 0:
            return
        if os.fstat(self._fd).st_size < self._offset:  # emptied in place
            self._offset, self._rest = 0, b""
        while data := os.pread(self._fd, BLOCK, self._offset):
            self._offset += len(data)
            lines, self._rest = reading.whole_lines(self._rest + data)
            yield from lines

    def _open_next(self) -> int | None:
        """Open the file that was begun after ours; None while ours is the newest."""
        while True:
            place = self._place()
            if place == 0:
                return None
            newer = self._name(place - 1) if place else self._name(self._oldest())
            try:
                fd = os.open(newer, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return None  # renamed, and the new one is not there yet: its making wakes us
            if self._place() == place:
                return fd
            os.close(fd)  # rotated once more meanwhile

    def _name(self, number: int) -> str:
        return f"{self._file}.{number}" if number else str(self._file)

    def _place(self) -> int | None:
        """Return how often our file was rotated; None when it is none of the files any more."""
        own = os.fstat(self._fd).st_ino if self._fd >= 0 else None
        number = 0
        while (inode := _inode(self._name(number))) is not None or number == 0:
            if inode is not None and inode == own:
                return number
            number += 1
        return None

    def _oldest(self) -> int:
        number = 0
        while _inode(self._name(number + 1)) is not None:
            number += 1
        return number


def _inode(name: str) -> int | None:
    try:
        return Path(name).stat().st_ino
    except FileNotFoundError:
        return None
