"""Files of variables, as `.env` and `env_file` have them."""

import re
from collections.abc import Callable

from stackr_schemas.errors import StackrError, Where

from stackr.load.template import Lookup, TemplateError, substitute

_BLANK = re.compile(r"(?:\s+|#[^\n]*)*")
_EXPORT = re.compile(r"export\s+")
_KEY = re.compile(r"([\w.\-\[\] \t\r\v\f]*)([=:\n]|$)")
_INDENT = re.compile(r"[ \t\r\v\f]*")
_ESCAPE = re.compile(r'\\(?:[abcfnrtv$"\\]|0[0-7]{0,3})')
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}

Missing = Callable[[str], None]


class _Cursor:
    """A position in the text of one file."""

    def __init__(self, text: str, name: str):
        self.text = text
        self.name = name
        self.position = 0

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self.text, self.position)
        self.position = match.end() if match else self.position
        return match

    def take_to(self, mark: str) -> str:
        end = self.text.find(mark, self.position)
        end = len(self.text) if end < 0 else end
        taken, self.position = self.text[self.position : end], min(end + 1, len(self.text))
        return taken

    def error(self, message: str) -> StackrError:
        line = self.text.count("\n", 0, self.position) + 1
        return StackrError(message, where=Where(self.name, line))


def parse_env(text: str, name: str, lookup: Lookup, missing: Missing) -> dict[str, str]:
    """Read variables; `lookup` knows more than the file and has precedence in values.

    A key alone takes its value from `lookup`, if it is there. Raises StackrError.
    """
    cursor = _Cursor(text.removeprefix("\ufeff"), name)
    found: dict[str, str] = {}

    def known(variable: str) -> str | None:
        value = lookup(variable)
        return found.get(variable) if value is None else value

    while cursor.take(_BLANK) and cursor.position < len(cursor.text):
        cursor.take(_EXPORT)
        key, is_alone = _key(cursor)
        inherited = lookup(key) if is_alone else None
        if not is_alone:
            found[key] = _value(cursor, known, missing)
        elif inherited is not None:
            found[key] = inherited
    return {key: value for key, value in found.items() if not key[:1].isdigit()}


def _key(cursor: _Cursor) -> tuple[str, bool]:
    match = cursor.take(_KEY)
    if match is None:
        rest = cursor.text[cursor.position :].split("\n")[0]
        raise cursor.error(f"unexpected character in a variable name near {rest!r}")
    key = match[1].strip()
    if re.search(r"\s", key):
        raise cursor.error(f"the name {key!r} has a space in it")
    return key, match[2] not in ("=", ":")


def _value(cursor: _Cursor, lookup: Lookup, missing: Missing) -> str:
    cursor.take(_INDENT)
    quote = cursor.text[cursor.position : cursor.position + 1]
    try:
        if quote == "'":
            return _quoted(cursor, quote)
        if quote == '"':
            return substitute(_ESCAPE.sub(_escaped, _quoted(cursor, quote)), lookup, missing)
        line = cursor.take_to("\n").partition(" #")[0].rstrip()
        return substitute(line, lookup, missing)
    except TemplateError as error:
        raise cursor.error(str(error)) from None


def _quoted(cursor: _Cursor, quote: str) -> str:
    start = cursor.position + 1
    end = cursor.text.find(quote, start)
    while end > 0 and cursor.text[end - 1] == "\\":
        end = cursor.text.find(quote, end + 1)
    if end < 0:
        raise cursor.error(f"the quote {quote} is not closed")
    cursor.position = end + 1
    return cursor.text[start:end]


def _escaped(match: re.Match[str]) -> str:
    code = match[0][1:]
    if code == "$":
        return "$$"
    if code[0] == "0":
        return chr(int(code, 8) & 0xFF)
    return _ESCAPES.get(code, match[0] if code == "c" else code)


def parse_raw(text: str, name: str, lookup: Lookup) -> dict[str, str]:
    """Read variables of the `raw` format: what stands after `=` is the value, nothing else."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        stripped = line.lstrip()
        if not stripped or stripped.startswith("#"):
            continue
        key, equals, value = stripped.partition("=")
        if not key or re.search(r"\s", key):
            raise StackrError(f"invalid variable name {key!r}", where=Where(name, number))
        inherited = lookup(key)
        if equals:
            found[key] = value
        elif inherited is not None:
            found[key] = inherited
    return found


def parse_format(
    text: str, name: str, format_name: str, lookup: Lookup, missing: Missing
) -> dict[str, str]:
    """Read variables in the format that an `env_file` names; raises StackrError."""
    if format_name == "raw":
        return parse_raw(text, name, lookup)
    if format_name:
        raise StackrError(
            f"unknown env_file format {format_name!r}", hint="use raw, or leave it out"
        )
    return parse_env(text, name, lookup, missing)
