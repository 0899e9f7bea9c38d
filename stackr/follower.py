"""Reads one container's log as it grows, in a thread."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

from stackr_engine import logs
from stackr_engine.logs import Record, Span, stamp_for


class Follower:
    """Hands each line from `since` on (seconds since the epoch) to `show`, until finished."""

    def __init__(
        self,
        file: Path,
        since: float,
        show: Callable[[Record], None],
        tail: int | None = None,
        until: float = 0.0,
    ):
        self._stop, self._stopper = os.pipe()
        span = Span(stamp(since), stamp(until))
        self._lines = logs.follow(file, self._stop, tail, span)
        self._show = show
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for record in self._lines:
                self._show(record)
        except (OSError, ValueError):
            return  # nobody reads what we print

    def finish(self) -> None:
        """Show what has been written by now, and end."""
        if self._stopper >= 0:
            os.close(self._stopper)
            self._thread.join()
            os.close(self._stop)
            self._stopper = -1


def stamp(seconds: float) -> str:
    """Write a time as logs do; nothing for 0."""
    return stamp_for(int(seconds * 1e9)) if seconds else ""
