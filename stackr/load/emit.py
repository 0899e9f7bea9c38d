"""Plain data to YAML text."""

from typing import Any

from yaml import CSafeDumper, ScalarNode, dump

WIDEST = 10_000


class _Dumper(CSafeDumper):
    """Writes text of several lines as a block."""


def _text(dumper: CSafeDumper, value: str) -> ScalarNode:
    is_block = "\n" in value and not any(line.endswith(" ") for line in value.split("\n"))
    style = "|" if is_block else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def yaml_text(data: Any) -> str:
    """Write data in block style, in its own order."""
    text: str = dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDEST)
    return text
