"""One record of a log: a JSON line as Docker's json-file driver writes it."""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

LONGEST_LINE = 1 << 20
"""Characters after which a line that has no end is given in parts."""
_START = b'{"log":'


class Record(NamedTuple):
    """What a container wrote: a line with its newline, or a part of one without.

    `time` is UTC in RFC 3339 with nine digits of fraction, so that times compare as text.
    """

    time: str
    stream: str
    text: str


@dataclass(frozen=True)
class Span:
    """The times of interest, both ends included, written as in records; empty: no bound."""

    since: str = ""
    until: str = ""

    def is_before(self, line: bytes) -> bool:
        """Tell whether a line of the file is older; reads no more of it than its time."""
        return bool(self.since) and line[-33:-3].decode(errors="replace") < self.since

    def is_after(self, time: str) -> bool:
        """Tell whether a time is later than all of interest."""
        return bool(self.until) and time > self.until


def stamp_for(nanoseconds: int) -> str:
    """Return a time since the epoch as records write it."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{fraction:09d}Z"


def parse(line: bytes) -> Record | None:
    """Read one line of a log file; None for what is none.

    A writer that was killed leaves a line without its end, and the next one writes behind it.
    """
    try:
        value = json.loads(line)
        return Record(value["time"], value["stream"], value["log"])
    except (ValueError, KeyError, TypeError):
        start = line.rfind(_START)
        return parse(line[start:]) if start > 0 else None


class Joiner:
    """Puts the parts of long lines together, for each stream."""

    def __init__(self) -> None:
        self._parts: dict[str, Record] = {}

    def join(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield whole lines, with the time of their first part."""
        for record in records:
            first = self._parts.pop(record.stream, None)
            whole = record if first is None else first._replace(text=first.text + record.text)
            if whole.text.endswith("\n") or len(whole.text) >= LONGEST_LINE:
                yield whole
            else:
                self._parts[record.stream] = whole

    def rest(self) -> Iterator[Record]:
        """Yield what never got an end."""
        yield from self._parts.values()
        self._parts.clear()
