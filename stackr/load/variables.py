"""The variables that stack files use, and the defaults that they give them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from stackr.load.loader import load_tree
from stackr.load.options import LoadOptions
from stackr.load.template import TemplateError, Variable, pieces

HEADINGS = ("NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE")


def used_variables(value: Any) -> Iterator[Variable]:
    """Find the variables in a tree, also those inside of defaults."""
    if isinstance(value, str):
        yield from _in_text(value)
    else:
        items = value.values() if isinstance(value, dict) else value
        for item in items if isinstance(value, dict | list) else ():
            yield from used_variables(item)


def _in_text(text: str) -> Iterator[Variable]:
    try:
        found = [piece for piece in pieces(text) if isinstance(piece, Variable)]
    except TemplateError:
        return
    for variable in found:
        yield variable
        yield from _in_text(variable.operand)


def listing(options: LoadOptions, form: str | None) -> Iterator[str]:
    """Write the variables of a stack as a table, or in a format."""
    raw = replace(options, interpolate=False, resolve_paths=False, normalize=False)
    rows = [_row(variable) for variable in used_variables(load_tree(raw).tree)]
    merged = {str(row["name"]): row for row in sorted(rows, key=lambda row: len(str(row)))}
    table = [merged[name] for name in sorted(merged)]
    if form == "json":
        yield json.dumps(table, indent=2)
    elif form == "yaml":
        from stackr.load.emit import yaml_text

        yield yaml_text(table).removesuffix("\n")
    else:
        yield from columns([HEADINGS, *(tuple(_cell(v) for v in row.values()) for row in table)])


def _row(variable: Variable) -> dict[str, str | bool]:
    kind = variable.operator[-1:]
    return {
        "name": variable.name,
        "required": kind == "?",
        "default_value": variable.operand if kind == "-" else "",
        "alternate_value": variable.operand if kind == "+" else "",
    }


def _cell(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def columns(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Align rows."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "   ".join(cells).rstrip()
