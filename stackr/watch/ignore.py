"""Which paths are left out, by the patterns of `.dockerignore` files; decides, never reads."""

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

TEMPORARY = (
    *("**/.git", "**/.idea", "**/___jb_tmp___", "**/*___jb_tmp___", "**/*___jb_old___"),
    *("**/4913", "**/*~", "**/.*.swp", "**/.*.swo", "**/.*.swn", "**/.*.swx"),
    *("**/.#*", "**/#*#", "**/.*.kate-swp", "**/.goutputstream-*"),
)
"""What editors write beside a file while they save it, and what is never the application's."""


@dataclass(frozen=True)
class Pattern:
    """One line: a regular expression, and whether it brings back what earlier ones left out."""

    expression: str
    is_exception: bool = False

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        # A pattern that matches a folder matches everything in it.
        return re.compile(rf"{self.expression}(?:/.*)?", re.DOTALL)

    def matches(self, path: str) -> bool:
        """Tell whether a path, or a folder above it, is meant."""
        return self._regex.fullmatch(path) is not None


@dataclass(frozen=True)
class Patterns:
    """Patterns in their order: of those that match, the last one decides."""

    patterns: tuple[Pattern, ...] = ()

    @classmethod
    def of(cls, lines: Iterable[str]) -> "Patterns":
        """Read lines; comments and empty ones are passed over."""
        found = [pattern for line in lines if (pattern := pattern_of(line)) is not None]
        return cls(tuple(found))

    def match(self, path: str) -> bool:
        """Tell whether a relative path is among those that are meant."""
        for pattern in reversed(self.patterns):
            if pattern.matches(path):
                return not pattern.is_exception
        return False

    @cached_property
    def has_exceptions(self) -> bool:
        """Tell whether something in a folder that is left out can be wanted nevertheless."""
        return any(pattern.is_exception for pattern in self.patterns)


NONE = Patterns()


def pattern_of(line: str) -> Pattern | None:
    """Read one line of a `.dockerignore` file."""
    text = line.strip()
    if not text or text.startswith("#"):
        return None
    is_exception = text.startswith("!")
    text = text[is_exception:].strip()
    if not text:
        return None
    path = posixpath.normpath(text).lstrip("/")
    return Pattern(expression_for(path), is_exception) if path != "." else None


def expression_for(pattern: str) -> str:
    """Translate a pattern: `*` and `?` stop at slashes, `**` does not, `[a-z]` is a class."""
    parts = re.findall(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]|\\.|.", pattern, re.DOTALL)
    return "".join(_piece(part) for part in parts)


def _piece(part: str) -> str:
    match part:
        case "**/":
            return "(?:.*/)?"
        case "**":
            return ".*"
        case "*":
            return "[^/]*"
        case "?":
            return "[^/]"
        case _ if part.startswith("[") and len(part) > 2:
            inside = part[1:-1].replace("\\", "\\\\").replace("[", "\\[")
            return f"[{inside}]"
        case _ if part.startswith("\\") and len(part) == 2:
            return re.escape(part[1])
    return re.escape(part)
