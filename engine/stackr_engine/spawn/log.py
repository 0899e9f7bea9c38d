"""A container's log: a JSON line a record, as Docker's json-file driver writes it."""

from __future__ import annotations

import os
import time
from _json import encode_basestring

LONGEST = 16 * 1024
"""Bytes after which a line is written in parts, all but the last without its newline."""


class Log:
    """The writing side of one container's log; `max_size` in bytes, 0: no rotation."""

    def __init__(self, path: str, max_size: int = 0, max_file: int = 1):
        self._path = path
        self._max_size = max_size
        self._max_file = max_file
        self._rests: dict[str, bytes] = {}
        self._second = -1
        self._stamp = ""
        self._fd = -1
        self._size = 0

    def _open(self, how: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_APPEND | how
        self._fd = os.open(self._path, flags, 0o640)
        self._size = os.fstat(self._fd).st_size

    def write(self, stream: str, data: bytes) -> None:
        """Take what a stream gave: write whole lines, keep the rest until its end comes."""
        rest = self._rests.pop(stream, b"")
        lines = _lines(rest + data)
        if lines and not lines[-1].endswith(b"\n"):
            last = lines.pop()
            *parts, last = _parts(last)
            lines += parts
            self._rests[stream] = last
        if lines:
            self._put(stream, lines)

    def finish(self) -> None:
        """Write what is left without an end of line."""
        for stream, rest in self._rests.items():
            self._put(stream, [rest])
        self._rests.clear()

    def _put(self, stream: str, lines: list[bytes]) -> None:
        tail = f',"stream":"{stream}","time":"{self._now()}"}}\n'
        records = [
            f'{{"log":{encode_basestring(part.decode(errors="replace"))}{tail}'
            for line in lines
            for part in _parts(line)
        ]
        try:
            self._append([record.encode() for record in records])
        except OSError:
            return  # a full disk must not stop the container

    def _append(self, records: list[bytes]) -> None:
        """Write records, as many at once as go into the file."""
        if self._fd < 0:
            self._open(0)
        batch: list[bytes] = []
        size = self._size
        for record in records:
            if self._max_size and size and size + len(record) > self._max_size:
                self._flush(batch)
                self._rotate()
                batch, size = [], 0
            batch.append(record)
            size += len(record)
        self._flush(batch)

    def _flush(self, batch: list[bytes]) -> None:
        self._size += os.write(self._fd, b"".join(batch))

    def _now(self) -> str:
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        if seconds != self._second:
            self._second = seconds
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        return f"{self._stamp}.{nanoseconds:09d}Z"

    def _rotate(self) -> None:
        os.close(self._fd)
        self._fd = -1
        for number in range(self._max_file - 1, 0, -1):
            older = self._path if number == 1 else f"{self._path}.{number - 1}"
            try:
                os.rename(older, f"{self._path}.{number}")
            except FileNotFoundError:
                continue
        self._open(os.O_TRUNC)


def _lines(data: bytes) -> list[bytes]:
    """Split after each newline; only "\\n" ends a line, other than in bytes.splitlines()."""
    parts = data.split(b"\n")
    last = parts.pop()
    lines = [part + b"\n" for part in parts]
    return [*lines, last] if last else lines


def _parts(line: bytes) -> list[bytes]:
    """Cut a long line, never inside a UTF-8 character."""
    if len(line) <= LONGEST:
        return [line]
    parts = []
    start = 0
    while len(line) - start > LONGEST:
        end = start + LONGEST
        while end > start + LONGEST - 3 and line[end] & 0xC0 == 0x80:
            end -= 1
        parts.append(line[start:end])
        start = end
    parts.append(line[start:])
    return parts
