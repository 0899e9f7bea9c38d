"""Reads logs that are rotated by renaming: `log`, before it `log.1`, before that `log.2`."""

import os
from collections.abc import Iterator
from pathlib import Path

from stackr_engine.logs.records import Joiner, Record, Span, parse

BLOCK = 1 << 17


def read(file: Path, tail: int | None = None, span: Span = Span()) -> Iterator[Record]:  # noqa: B008
    """Yield a log's lines, or its last `tail` ones, oldest first; no file is an empty log."""
    joiner = Joiner()
    with Chain(file) as chain:
        yield from joiner.join(select(chain.lines(chain.start_for(tail)), span))
    yield from joiner.rest()


def select(lines: Iterator[bytes], span: Span) -> Iterator[Record]:
    """Parse the lines whose time is of interest; those before cost a comparison each."""
    for line in lines:
        if span.is_before(line):
            continue
        record = parse(line)
        if record is None:
            continue
        if span.is_after(record.time):
            return
        yield record


class Chain:
    """All files of one log, held open so that rotation takes nothing away; oldest first."""

    def __init__(self, file: Path):
        self.fds: list[int] = []
        seen: set[int] = set()
        name = str(file)
        number = 0
        while (fd := _open(name)) is not None:
            inode = os.fstat(fd).st_ino
            if inode in seen:  # renamed since it was opened
                os.close(fd)
            else:
                seen.add(inode)
                self.fds.insert(0, fd)
            number += 1
            name = f"{file}.{number}"

    def __enter__(self) -> "Chain":
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self.fds:
            os.close(fd)

    def start_for(self, tail: int | None) -> tuple[int, int]:
        """Return the file, counted from 0, and the offset in it where the last lines start."""
        if tail is None:
            return 0, 0
        missing = tail
        for index in reversed(range(len(self.fds))):
            offset, missing = _tail_offset(self.fds[index], missing)
            if missing < 0:
                return index, offset
        return 0, 0

    def lines(self, start: tuple[int, int]) -> Iterator[bytes]:
        """Yield lines from a place on to the end; `end` is then where the newest was left."""
        first, offset = start
        self.end = 0
        for fd in self.fds[first:]:
            self.end = offset
            for line in _lines_from(fd, offset):
                self.end += len(line)
                yield line
            offset = 0


def _open(name: str) -> int | None:
    try:
        return os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def _lines_from(fd: int, offset: int) -> Iterator[bytes]:
    """Yield whole lines; one that is still being written is left out."""
    rest = b""
    while data := os.pread(fd, BLOCK, offset):
        offset += len(data)
        lines, rest = whole_lines(rest + data)
        yield from lines


def whole_lines(data: bytes) -> tuple[list[bytes], bytes]:
    """Split after each newline, and from the rest; "\\n" alone ends a line."""
    lines = data.split(b"\n")
    rest = lines.pop()
    return [line + b"\n" for line in lines], rest


def _tail_offset(fd: int, wanted: int) -> tuple[int, int]:
    """Search backwards for the start of the last lines.

    Return the offset behind the line before them and -1; or 0 and how many are still wanted.
    """
    position = os.fstat(fd).st_size
    behind = b""
    while position:
        size = min(BLOCK, position)
        position -= size
        data = os.pread(fd, size, position) + behind
        end = len(data)
        while (newline := data.rfind(b"\n", 0, end)) >= 0:
            start = data.rfind(b"\n", 0, newline) + 1
            if start == 0 and position:
                break  # the line begins in the block before
            wanted -= _ends_line(data[start:newline])
            if wanted < 0:
                return position + newline + 1, -1
            end = start
        behind = data[:end]
    return 0, wanted


def _ends_line(record: bytes) -> bool:
    r"""Tell whether a record's text ends with a newline: `\n","stream":…` follows it."""
    return b'\\n","stream":"' in record[-80:]
