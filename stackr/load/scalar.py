"""Plain YAML scalars, by the YAML 1.2 core schema and the octal spelling of 1.1.

`yes`, `on` and `22:22` are text; `0o440`, `0440`, `0x1f` and `1_000` are numbers.
"""

import re

_FIRST = frozenset("0123456789+-.~nNtTfF")
_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_INTEGER = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LONGEST = 100
_DATE = re.compile(
    r"\d{4}-(?:0?[1-9]|1[0-2])-(?:0?[1-9]|[12]\d|3[01])"
    r"(?:(?:[Tt]|[ \t]+)\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d+)?[ \t]*(?:Z|[-+]\d{1,2}(?::\d{2})?)?)?"
)


class Timestamp:
    """A plain date: no key takes one, and Docker Compose refuses it where text is wanted."""

    def __init__(self, text: str):
        self.text = text

    @property
    def in_full(self) -> str:
        """The moment, where any value is taken."""
        return self.text if ":" in self.text else f"{self.text}T00:00:00Z"

    def __repr__(self) -> str:
        return f"{self.text} (YAML reads it as a date; put it in quotes)"


def resolve(text: str) -> object:
    """Give the value of a plain scalar."""
    if text and text[0] not in _FIRST:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _LONGEST:
        return text
    if _DATE.fullmatch(text):
        return Timestamp(text)
    digits = text.replace("_", "") if text[-1:] != "_" else text
    if _INTEGER.fullmatch(digits):
        return _integer(digits)
    return float(digits) if _FLOAT.fullmatch(digits) else text


def _integer(digits: str) -> object:
    sign, bare = (digits[0], digits[1:]) if digits[0] in "+-" else ("", digits)
    if len(bare) > 1 and bare[0] == "0" and bare[1].isdigit():
        bare = f"0o{bare}"
    number = int(sign + bare, 0)
    return number if -(2**63) <= number < 2**64 else float(number)


def tagged(tag: str, text: str) -> object:
    """Give the value of a scalar that carries a tag; raises ValueError."""
    kind = tag.removeprefix("tag:yaml.org,2002:")
    if kind == "null":
        return None
    if kind in ("int", "float", "bool"):
        value = resolve(text)
        wanted = {"int": int, "float": int | float, "bool": bool}[kind]
        if not isinstance(value, wanted):
            raise ValueError(f"{text!r} is not of type {kind}")
        return float(value) if kind == "float" else value
    return text
