"""Where each variable of a service comes from: a line of the stack file, an env file, the shell."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from stackr_schemas.errors import NotFound

from stackr.load.environment import ServiceFiles
from stackr.load.files import DISK, Files
from stackr.load.loader import load_tree, project_of
from stackr.load.options import LoadOptions
from stackr.load.tree import Map, Seq, where
from stackr.load.variables import columns, used_variables

HEADINGS = ("NAME", "VALUE", "FROM")


@dataclass(frozen=True)
class Explained:
    """One variable of a service."""

    name: str
    value: str
    source: str


def explanation(options: LoadOptions, service: str, form: str | None) -> Iterator[str]:
    """Write the variables of a service and their sources."""
    found = explained(options, service)
    if form == "json":
        yield json.dumps([vars(one) for one in found], indent=2)
    elif form == "yaml":
        from stackr.load.emit import yaml_text

        yield yaml_text([vars(one) for one in found]).removesuffix("\n")
    else:
        yield from columns([HEADINGS, *((one.name, one.value, one.source) for one in found)])


def explained(options: LoadOptions, name: str, files: Files = DISK) -> list[Explained]:
    """Find the source of every variable of a service, sorted; raises StackrError."""
    loaded = load_tree(options, files)
    project = project_of(loaded, options)
    if name not in project.services | project.disabled:
        raise NotFound(f"no such service: {name}")
    service = (project.disabled | project.services)[name]
    sources: dict[str, str] = {}
    reader = ServiceFiles(files, options.cwd, project.working_dir, loaded.tree, loaded.report)
    values = reader.variables(name, service, project.environment, sources.__setitem__)
    loaded.report.check()
    raw = load_tree(replace(options, interpolate=False, normalize=False), files)
    written = _written(raw.tree, name, raw.sources.origins)
    values |= service.environment
    return [
        Explained(key, value or "", written.get(key) or sources.get(key, "the stack file"))
        for key, value in sorted(values.items())
        if value is not None
    ]


def _written(tree: Map, name: str, origins: dict[str, str]) -> dict[str, str]:
    """Tell for each key of `environment` its place, and what it takes from elsewhere."""
    value = tree["services"][name].get("environment")
    if isinstance(value, Map):
        items = [(key, item, value.marks[key]) for key, item in value.items()]
    else:
        items = [(*_split(text), mark) for text, mark in _listed(value)]
    return {key: _source(key, item, str(where(mark) or ""), origins) for key, item, mark in items}


def _listed(value: Any) -> list[tuple[str, Any]]:
    return value.placed() if isinstance(value, Seq) else []


def _split(text: str) -> tuple[str, str | None]:
    key, equals, value = str(text).partition("=")
    return key, value if equals else None


def _source(key: str, item: Any, place: str, origins: dict[str, str]) -> str:
    if item is None:
        return f"{origins.get(key, 'nowhere')} (passed on at {place})"
    used = sorted({variable.name for variable in used_variables(item)})
    if not used:
        return place
    taken = [f"{one} from {origins.get(one, 'nowhere')}" for one in used]
    return f"{place} ({', '.join(taken)})"
