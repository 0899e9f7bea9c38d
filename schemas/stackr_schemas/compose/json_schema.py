"""The published JSON Schema, made from the models.

`python -m stackr_schemas.compose.json_schema > schemas/stack.schema.json`
"""

import json
import sys
from typing import Any

from stackr_schemas.compose.stack_file import StackFile

TITLE = "Stack file"
DESCRIPTION = "A stack of containers, as the Compose Specification writes it."
FILLED_IN = {"Dependency": "required"}
"""Fields that every loaded value has and no file needs."""


def stack_schema() -> dict[str, Any]:
    """Return the schema that editors check stack files with."""
    schema = StackFile.model_json_schema(mode="validation")
    for name, field in FILLED_IN.items():
        schema["$defs"][name]["required"].remove(field)
    _refine(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": TITLE,
        "description": DESCRIPTION,
        **{k: v for k, v in schema.items() if k not in ("title", "description")},
    }


def _refine(node: Any) -> None:
    """Drop generated titles and defaults; close objects but for `x-` keys."""
    if isinstance(node, list):
        for item in node:
            _refine(item)
    if not isinstance(node, dict):
        return
    if isinstance(node.get("title"), str):
        del node["title"]
    if "default" in node and not node["default"]:
        del node["default"]
    if "properties" in node and node.get("additionalProperties") is True:
        node["additionalProperties"] = False
        node["patternProperties"] = {"^x-": {}}
    for key, item in node.items():
        for below in item.values() if key in ("properties", "$defs") else [item]:
            _refine(below)


def schema_text() -> str:
    """Return the schema as the file has it."""
    return json.dumps(stack_schema(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
