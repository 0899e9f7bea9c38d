"""Pulls and pushes for commands: their user's access to registries, and progress a line a layer."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, TypeVar

from stackr_schemas.errors import StackrError

from stackr.commands.images import size_text
from stackr.commands.load import familiar
from stackr.invocation import Invocation
from stackr.perform import Progress, Report, Step
from stackr.progress import progress
from stackr.pull_policy import Pull

if TYPE_CHECKING:
    from stackr_engine.image.registry.access import Access
    from stackr_engine.image.registry.report import LayerNews

_PARALLEL = 3
"""Images at a time; their layers share a limit of their own."""
T = TypeVar("T")


def access_of(invocation: Invocation) -> "Access":
    """Return the way to registries that this command's environment describes."""
    from stackr_engine.image.registry.access import Access

    return Access(invocation.environment, invocation.session.check)


def pull_all(
    invocation: Invocation, pulls: Sequence[Pull], *, quiet: bool = False
) -> list[StackrError | None]:
    """Pull images side by side; return what went wrong with each."""
    images = invocation.engine.images

    def pull(item: Pull, lines: Lines) -> str:
        pulled = images.pull(item.reference, access_of(invocation), lines, item.platform)
        return "Pulled" if pulled.is_new else "Up to date"

    rows = [(item.reference, item) for item in pulls]
    return _each(invocation, rows, "Pulling", pull, quiet=quiet)


def push_all(
    invocation: Invocation, references: Sequence[str], *, quiet: bool = False
) -> list[StackrError | None]:
    """Push images side by side; return what went wrong with each."""
    images = invocation.engine.images

    def push(reference: str, lines: Lines) -> str:
        images.push(reference, access_of(invocation), lines)
        return "Pushed"

    rows = [(reference, reference) for reference in references]
    return _each(invocation, rows, "Pushing", push, quiet=quiet)


class Lines:
    """Turns news of layers into progress; where nothing is redrawn, a line a change alone."""

    def __init__(self, report: Report, *, is_live: bool):
        self._report = report
        self._is_live = is_live
        self._said: dict[str, str] = {}
        self._lock = threading.Lock()

    def __call__(self, news: "LayerNews") -> None:
        """Take news of a layer."""
        with self._lock:
            is_said = self._said.get(news.layer) == news.text
            self._said[news.layer] = news.text
        if is_said and not self._is_live:
            return
        text = news.text
        if self._is_live and news.current < news.total:
            text += f" {size_text(news.current)}/{size_text(news.total)}"
        step = Step.DONE if news.is_done else Step.WORKING
        self._report(Progress("Layer", news.layer, text, step))


def _each(
    invocation: Invocation,
    rows: Sequence[tuple[str, T]],
    verb: str,
    work: Callable[[T, Lines], str],
    *,
    quiet: bool,
) -> list[StackrError | None]:
    shown = nullcontext(lambda news: None) if quiet else progress(invocation)
    with shown as report, ThreadPoolExecutor(_PARALLEL, "image") as pool:
        lines = Lines(report, is_live=invocation.has_live_progress)

        def one(row: tuple[str, T]) -> StackrError | None:
            name = _shown_name(row[0])
            report(Progress("Image", name, verb, Step.WORKING))
            try:
                text = work(row[1], lines)
            except StackrError as error:
                report(Progress("Image", name, "Error", Step.ERROR))
                return error
            report(Progress("Image", name, text, Step.DONE))
            return None

        return list(pool.map(one, rows))


def _shown_name(reference: str) -> str:
    try:
        return familiar(reference)
    except StackrError:
        return reference
