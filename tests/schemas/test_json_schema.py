from pathlib import Path

from stackr_schemas.compose.json_schema import schema_text, stack_schema

PUBLISHED = Path(__file__).parents[2] / "schemas" / "stack.schema.json"


def test_the_published_schema_is_that_of_the_models() -> None:
    assert PUBLISHED.read_text() == schema_text(), (
        "run: python -m stackr_schemas.compose.json_schema > schemas/stack.schema.json"
    )


def test_objects_are_closed_but_for_extensions() -> None:
    port = stack_schema()["$defs"]["Port"]
    assert port["additionalProperties"] is False
    assert port["patternProperties"] == {"^x-": {}}


def test_short_forms_are_in_the_schema() -> None:
    service = stack_schema()["$defs"]["Service"]["properties"]
    assert {"type": "string"} in service["ports"]["items"]["anyOf"]
    assert {"type": "string"} in service["build"]["anyOf"]
    assert {"type": "array", "items": {"type": "string"}} in service["depends_on"]["anyOf"]


def test_what_loading_fills_in_is_not_required_of_the_file() -> None:
    definitions = stack_schema()["$defs"]
    assert definitions["Dependency"]["required"] == ["condition"]
    assert definitions["Port"]["required"] == ["target"]
