"""A tree against the models: every mistake with its place and, for a key, what was meant."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError
from stackr_schemas.compose.stack_file import StackFile

from stackr.load.problem import Report
from stackr.load.tree import Map, Path, Seq, dotted, mark_at

NOUNS = {
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "tuple_type": "must be a list",
    "int_type": "must be a whole number",
}
MISSING = "missing"
BAD_KEY = "string_pattern_mismatch"


def validated(tree: Map, report: Report, has_variables: bool = False) -> StackFile | None:
    """Read a tree into the models; None after problems, which go to the report.

    With variables still in it, text that has one is not judged.
    """
    try:
        return StackFile.model_validate(tree)
    except ValidationError as error:
        for details in error.errors(include_url=False, include_context=True):
            if not (has_variables and "$" in str(details["input"])):
                _note(details, tree, report)
        return None


def _note(details: Any, tree: Map, report: Report) -> None:
    path = _path_in(tree, details["loc"])
    mark = mark_at(tree, path)
    place = (mark.name, mark.line) if mark else None
    if details["type"] == BAD_KEY and path and path[-1] == details["input"]:
        report.add(mark, dotted(path), *_bad_key(path, details))
        return
    already = any(p.path == dotted(path) for p in report.problems)
    if not already or place is None:
        report.add(mark, dotted(path), _message(details))


def _path_in(tree: Any, loc: Iterable[str | int]) -> Path:
    """Keep the steps of a location that are in the tree, and a last one that is missing there."""
    path: list[str | int] = []
    for step in loc:
        if isinstance(tree, Map) and step in tree:
            tree = tree[str(step)]
        elif isinstance(tree, Seq) and isinstance(step, int) and step < len(tree):
            tree = tree[step]
        elif step == "[key]" or not isinstance(tree, Map):
            continue
        else:
            tree = None
        path.append(step)
    return tuple(path)


def _bad_key(path: Path, details: Any) -> tuple[str, str]:
    if details["ctx"]["pattern"] != "^x-":
        return f"the name must match {details['ctx']['pattern']}", ""
    from difflib import get_close_matches  # only where something is wrong

    close = get_close_matches(str(path[-1]), known_keys(path[:-1]), 1, 0.6)
    return "unknown key", f"did you mean {close[0]}?" if close else ""


def _message(details: Any) -> str:
    kind = details["type"]
    if kind == MISSING:
        return "is missing"
    if kind == "value_error":
        return str(details["ctx"]["error"])
    if kind == BAD_KEY:
        return f"{details['input']!r} does not match {details['ctx']['pattern']}"
    if kind == "literal_error":
        return f"must be one of {details['ctx']['expected']}"
    return NOUNS.get(kind) or str(details["msg"]).replace("Input should", "must")


def known_keys(path: Path) -> list[str]:
    """List the keys that the model at a path has."""
    models: list[type[BaseModel]] = [StackFile]
    for step in path:
        fields = [m.model_fields[step] for m in models if step in m.model_fields]
        if fields:
            models = [model for one in fields for model in _models_in(one.annotation)]
            models += [model for one in fields for extra in one.metadata for model in _input(extra)]
    return sorted({name for model in models for name in model.model_fields})


def _input(metadata: Any) -> list[type[BaseModel]]:
    return _models_in(getattr(metadata, "json_schema_input_type", None))


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    arguments = getattr(annotation, "__args__", ())
    return [model for argument in arguments for model in _models_in(argument)]
