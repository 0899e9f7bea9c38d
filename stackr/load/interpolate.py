"""Variables in a tree: every text is substituted, every path gets a copy of its own."""

from typing import Any

from stackr.load.problem import Report
from stackr.load.scalar import Timestamp
from stackr.load.template import Lookup, TemplateError, substitute
from stackr.load.tree import Map, Mark, Path, Seq, dotted, where

MOST_NODES = 200_000


class Interpolation:
    """Copies trees with their variables replaced; aliases are expanded, up to a limit."""

    def __init__(self, lookup: Lookup | None, report: Report):
        self.lookup = lookup
        self.report = report
        self.nodes = 0
        self.missing: set[str] = set()

    def copy(self, value: Any, path: Path = (), mark: Mark | None = None) -> Any:
        """Copy a tree; without a lookup the text stays as it is."""
        if isinstance(value, str):
            return value if "$" not in value else self._text(value, path, mark)
        if isinstance(value, Map):
            self._count(len(value), mark)
            return self._map(value, path)
        if isinstance(value, Seq):
            self._count(len(value), mark)
            found = Seq(value.mark)
            found.marks = list(value.marks)
            for index, item in enumerate(value):
                found.append(self.copy(item, (*path, index), value.marks[index]))
            return found
        if isinstance(value, Timestamp) and any(str(step).startswith("x-") for step in path):
            return value.in_full
        return value

    def _map(self, value: Map, path: Path) -> Map:
        found = Map(value.mark)
        found.resets, found.overrides = value.resets, value.overrides
        found.marks = dict(value.marks)
        for key, item in value.items():
            if type(item) is str and "$" not in item:
                found[key] = item
            else:
                found[key] = self.copy(item, (*path, key), value.marks[key])
        return found

    def _count(self, size: int, mark: Mark | None) -> None:
        self.nodes += size + 1
        if self.nodes > MOST_NODES:
            self.report.add(mark, "", f"more than {MOST_NODES} values once aliases are expanded")
            self.report.check()

    def _text(self, text: str, path: Path, mark: Mark | None) -> str:
        if self.lookup is None:
            return text
        try:
            return substitute(text, self.lookup, lambda name: self._missing(name, text, mark))
        except TemplateError as error:
            self.report.add(mark, dotted(path), str(error))
            return text

    def _missing(self, name: str, text: str, mark: Mark | None) -> None:
        if name not in self.missing:
            self.missing.add(name)
            message = f'The "{name}" variable is not set. Defaulting to a blank string.'
            if f"${name}" in text and text != f"${name}":
                message += " For a dollar sign write $$."
            place = where(mark)
            self.report.warn(f"{place}: {message}" if place else message)
