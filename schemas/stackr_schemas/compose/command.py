"""Command lines: lists as they are, strings split as the specification's shell words."""

from typing import Annotated

from pydantic import BeforeValidator

_SPACE = " \t\r\n"
_ENDS = ";&|<>"
_CLOSING = {"'": "'", '"': '"', "`": "`", "(": ")"}


def split_command(line: str) -> tuple[list[str], str]:
    """Split a command line into words, and give the text from the first unquoted `; & | < >` on.

    No shell runs the words, so what follows such a character is not part of the command.
    Raises ValueError for an open quote or a stray parenthesis.
    """
    words: list[str] = []
    word: str | None = None
    quote = ""
    position = 0
    while position < len(line):
        char = line[position]
        position += 1
        if char == "\\" and quote != "'":
            word = (word or "") + line[position : position + 1]
            quote = quote if position < len(line) else "\\"
            position += 1
        elif quote:
            closes = char == _CLOSING[quote]
            word = (word or "") + ("" if closes and char in "'\"" else char)
            quote = "" if closes else quote
        elif char in _SPACE:
            words += [] if word is None else [word]
            word = None
        elif char in _ENDS:
            word = None if char == ">" and word and word[0].isdigit() else word
            return words + ([] if word is None else [word]), line[position - 1 :]
        else:
            quote = _opened(char, word, line)
            word = (word or "") + ("" if char in "'\"" else char)
    if quote:
        raise ValueError(f"invalid command line {line!r}: something in it is not closed")
    return words + ([] if word is None else [word]), ""


def _opened(char: str, word: str | None, line: str) -> str:
    if char in "'\"`":
        return char
    if char == "(" and (word or "").endswith("$"):
        return char
    if char in "()":
        raise ValueError(f"invalid command line {line!r}: quote the parenthesis")
    return ""


def command(value: object) -> object:
    """Read a command: None, a string to split, or a list."""
    if isinstance(value, str):
        return tuple(split_command(value)[0])
    return tuple(value) if isinstance(value, list) else value


def health_test(value: object) -> object:
    """Read a health test: a string runs in the container's shell."""
    if isinstance(value, str):
        return ("CMD-SHELL", value)
    return tuple(value) if isinstance(value, list) else value


Command = Annotated[
    tuple[str, ...] | None,
    BeforeValidator(command, json_schema_input_type=str | list[str] | None),
]
"""None: as the image says; empty: none, not even the image's."""
HealthTest = Annotated[
    tuple[str, ...], BeforeValidator(health_test, json_schema_input_type=str | list[str])
]
