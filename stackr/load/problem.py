"""What is wrong with a stack file: every problem with its place, all of them at once."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePath

from stackr_schemas.errors import StackrError, Where

from stackr.load.tree import Mark, where


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, at which path, what, and the next step."""

    where: Where | None
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        path = f"{self.path}: " if self.path else ""
        return f"{place}{path}{self.message}{f'; {self.hint}' if self.hint else ''}"


class LoadError(StackrError):
    """A stack cannot be loaded; `problems` are sorted by file and line."""

    def __init__(self, problems: Iterable[Problem], texts: dict[str, str] | None = None):
        self.problems = tuple(sorted(dict.fromkeys(problems), key=_order))
        self.texts = texts or {}
        super().__init__("\n".join(map(str, self.problems)))

    def render(self, with_excerpts: bool, color: bool = False) -> str:
        """Write all problems, on a terminal with the lines of the file that they stand in."""
        if not with_excerpts:
            return self.message
        return "\n".join(_with_excerpt(problem, self.texts, color) for problem in self.problems)


def _order(problem: Problem) -> tuple[str, int, int, str]:
    place = problem.where or Where("", 0)
    return place.file, place.line, place.column, problem.path


def _with_excerpt(problem: Problem, texts: dict[str, str], color: bool) -> str:
    place = problem.where
    lines = texts.get(place.file, "").splitlines() if place else []
    if place is None or not 0 < place.line <= len(lines):
        return str(problem)
    red, plain = ("\x1b[31m", "\x1b[0m") if color else ("", "")
    first = max(place.line - 2, 0)
    width = len(str(place.line))
    shown = [
        f"  {number:>{width}} | {line}"
        for number, line in enumerate(lines[first : place.line], first + 1)
    ]
    caret = " " * (place.column - 1) + f"{red}^{plain}"
    return "\n".join([str(problem), *shown, f"  {' ' * width} | {caret}"])


@dataclass
class Report:
    """Collects problems and warnings while a stack is loaded."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)

    def add(self, mark: Mark | None, path: str, message: str, hint: str = "") -> None:
        """Note a problem."""
        self.problems.append(Problem(where(mark), path, message, hint))

    def warn(self, message: str) -> None:
        """Note a warning, once."""
        if message not in self.warnings:
            self.warnings.append(message)

    def check(self) -> None:
        """Raise LoadError if there is a problem."""
        if self.problems:
            raise LoadError(self.problems, self.texts)

    def fail(self, message: str, hint: str = "", file: str = "") -> LoadError:
        """Make the error of a problem that has no line."""
        place = Where(file, 1) if file else None
        return LoadError([*self.problems, Problem(place, "", message, hint)], self.texts)


def display_name(path: str, cwd: str) -> str:
    """Write a file's name as a user of `cwd` writes it."""
    pure = PurePath(path)
    return str(pure.relative_to(cwd)) if pure.is_relative_to(cwd) else path
