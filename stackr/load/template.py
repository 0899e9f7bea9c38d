"""Variables in text: `$V`, `${V}`, `:-`, `-`, `:?`, `?`, `:+`, `+`, nested; `$$` is a dollar."""

import re
from collections.abc import Callable
from dataclasses import dataclass

Lookup = Callable[[str], str | None]

_NAME = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_OPERATOR = re.compile(r":?[-?+]")
DEEPEST = 50


class TemplateError(ValueError):
    """A variable is written wrongly, or a required one is missing."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One use of a variable: operator and operand are empty for a plain one."""

    name: str
    operator: str = ""
    operand: str = ""


def pieces(text: str) -> list[str | Variable]:
    """Split text into literal parts and variables; raises TemplateError."""
    found: list[str | Variable] = []
    position = 0
    while (dollar := text.find("$", position)) >= 0:
        found.append(text[position:dollar])
        follow = text[dollar + 1 : dollar + 2]
        if follow == "$":
            found.append("$")
            position = dollar + 2
        elif follow == "{":
            end = _closing(text, dollar + 1)
            found.append(_braced(text[dollar + 2 : end], text))
            position = end + 1
        elif match := _NAME.match(text, dollar + 1):
            found.append(Variable(match[0]))
            position = match.end()
        else:
            found.append("$")
            position = dollar + 1
    return [piece for piece in (*found, text[position:]) if piece != ""]


def _closing(text: str, opening: int) -> int:
    depth = 0
    for index in range(opening, len(text)):
        depth += (text[index] == "{") - (text[index] == "}")
        if depth == 0:
            return index
    raise TemplateError(f"invalid interpolation {text!r}: a brace is not closed")


def _braced(inside: str, text: str) -> Variable:
    name = _NAME.match(inside)
    if name is None:
        raise TemplateError(f"invalid interpolation {text!r}: write ${{NAME}}, or $$ for a dollar")
    if name.end() == len(inside):
        return Variable(inside)
    operator = _OPERATOR.match(inside, name.end())
    if operator is None:
        raise TemplateError(f"invalid interpolation {text!r}: after the name put :- :? :+ - ? or +")
    return Variable(name[0], operator[0], inside[operator.end() :])


def substitute(text: str, lookup: Lookup, missing: Callable[[str], None], depth: int = 0) -> str:
    """Replace the variables in text; `missing` hears of unset ones. Raises TemplateError."""
    if "$" not in text:
        return text
    if depth > DEEPEST:
        raise TemplateError("variables are nested too deeply")
    return "".join(
        piece if isinstance(piece, str) else _value(piece, lookup, missing, depth)
        for piece in pieces(text)
    )


def _value(used: Variable, lookup: Lookup, missing: Callable[[str], None], depth: int) -> str:
    value = lookup(used.name)
    if not used.operator and value is None:
        missing(used.name)
    # The operand is substituted even if it is not used: a required variable in it is required.
    operand = substitute(used.operand, lookup, missing, depth + 1)
    counts = bool(value) if used.operator.startswith(":") else value is not None
    match used.operator.removeprefix(":"):
        case "-" if not counts:
            return operand
        case "+" if counts:
            return operand
        case "?" if not counts:
            raise TemplateError(_required(used.name, operand))
    return value or ""


def _required(name: str, reason: str) -> str:
    return f"required variable {name} is missing a value" + (f": {reason}" if reason else "")
