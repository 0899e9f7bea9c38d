"""Errors that a user sees: what is wrong, where, and the next step."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a text file; lines and columns count from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class StackrError(Exception):
    """Something that the user, not we, can mend: printed as one message, never as a traceback."""

    exit_status = 1

    def __init__(self, message: str, *, hint: str | None = None, where: Where | None = None):
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.message}{hint}"

    def render(self, with_excerpts: bool, color: bool = False) -> str:
        """Write the message, on a terminal with the lines of the file that it is about."""
        return str(self)


class NotFound(StackrError):
    """A named container, image, network or volume does not exist."""


class Conflict(StackrError):
    """The request contradicts something that exists: a name, an address or a port in use."""
