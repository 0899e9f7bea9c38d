"""Shows how far resources have come: redrawn in place on a terminal, a line an event elsewhere."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from stackr.invocation import Invocation
from stackr.perform import Progress, Report, Step

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
SIGNS = {
    Step.DONE: "\033[32m✔\033[0m",
    Step.WARNING: "\033[33m!\033[0m",
    Step.ERROR: "\033[31m✘\033[0m",
}
COLOURS = {Step.WORKING: "34", Step.DONE: "32", Step.WARNING: "33", Step.ERROR: "31"}
REDRAW = 0.1
"""Seconds between two pictures."""


@contextmanager
def progress(invocation: Invocation) -> Iterator[Report]:
    """Give a function that takes news, shown as the user's terminal and options want."""
    if invocation.options.progress == "quiet":
        yield lambda news: None
    elif invocation.has_live_progress:
        rows, columns = invocation.session.window_size()
        live = Live(invocation.stderr, rows or 24, columns or 80)
        try:
            yield live.report
        finally:
            live.end()
    else:
        lock = threading.Lock()

        def report(news: Progress) -> None:
            with lock:
                invocation.stderr.write(f" {news.kind} {news.name}  {news.text}\n")

        yield report


class Live:
    """A block of lines, one a resource, redrawn in place."""

    def __init__(self, stream: TextIO, rows: int, columns: int):
        self.stream = stream
        self.rows = rows
        self.columns = columns
        self.news: dict[tuple[str, str], Progress] = {}
        self.times: dict[tuple[str, str], tuple[float, float]] = {}
        self.drawn = 0
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.ticker = threading.Thread(target=self._tick, daemon=True)
        self.ticker.start()

    def report(self, news: Progress) -> None:
        """Note what happened; the next picture shows it."""
        key = news.kind, news.name
        with self.lock:
            now = time.monotonic()
            began = self.times.get(key, (now, now))[0]
            self.news[key] = news
            self.times[key] = began, now

    def end(self) -> None:
        """Draw the last picture."""
        self.ended.set()
        self.ticker.join()
        self._draw()

    def _tick(self) -> None:
        while not self.ended.wait(REDRAW):
            self._draw()

    def _draw(self) -> None:
        with self.lock:
            if not self.news:
                return
            done = sum(news.step is not Step.WORKING for news in self.news.values())
            title = f"[+] Running {done}/{len(self.news)}"
            lines = [title, *self._lines(time.monotonic())]
            up = f"\033[{self.drawn}A" if self.drawn else ""
            self.stream.write(up + "".join(f"\r{line}\033[K\n" for line in lines))
            self.stream.flush()
            self.drawn = len(lines)

    def _lines(self, now: float) -> Iterator[str]:
        """Render the newest lines that fit; a picture higher than the screen cannot be redrawn."""
        width = max(len(f"{kind} {name}") for kind, name in self.news)
        items = list(self.news.items())
        if len(items) > self.rows - 3:
            items.sort(key=lambda item: (item[1].step is not Step.WORKING, -self.times[item[0]][1]))
            items = items[: self.rows - 3]
        for key, news in items:
            began, last = self.times[key]
            seconds = (now if news.step is Step.WORKING else last) - began
            frame = FRAMES[int(now / REDRAW) % len(FRAMES)]
            sign = SIGNS.get(news.step, f"\033[34m{frame}\033[0m")
            label = f"{news.kind} {news.name}".ljust(width)
            text = news.text.ljust(10)
            gap = " " * max(min(self.columns - width - len(text) - 12, 40), 1)
            colour = COLOURS[news.step]
            yield f" {sign} {label}  \033[{colour}m{text}\033[0m{gap}{seconds:5.1f}s"
