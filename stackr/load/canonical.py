"""Short forms to long ones, in the tree, so that files can be merged entry by entry.

What cannot be read stays as it is: the models refuse it, with its place.
"""

from collections.abc import Callable
from typing import Any

from stackr_schemas.compose.build import build
from stackr_schemas.compose.device_request import gpus
from stackr_schemas.compose.forms import text_pairs
from stackr_schemas.compose.mount import device, file_mount, parse_mount
from stackr_schemas.compose.port import parse_port
from stackr_schemas.compose.service import STARTED, read_extends
from stackr_schemas.types import text_of

from stackr.load.problem import Report
from stackr.load.tree import Map, Seq, adopt, maps_in, seq_of

Read = Callable[[Any], Any]


def canonicalize(tree: Map, report: Report) -> None:
    """Rewrite the short forms of a file in place."""
    for service in maps_in(tree, "services"):
        _service(service)
    for section in ("volumes", "networks", "secrets", "configs"):
        _externals(tree, section, report)
    _each(tree, "include", lambda item: [{"path": item} if isinstance(item, str) else item])


def _service(service: Map) -> None:
    _value(service, "build", build)
    if isinstance(build_map := service.get("build"), Map):
        _each(build_map, "secrets", lambda item: [file_mount(item)])
        _value(build_map, "additional_contexts", _contexts)
    _by_name(service, "depends_on", STARTED)
    _by_name(service, "networks", None)
    _by_name(service, "models", None)
    _many(service, "env_file", lambda item: {"path": item})
    _many(service, "label_file", lambda item: item)
    _many(service, "dns", lambda item: item)
    _value(service, "extends", read_extends)
    _value(service, "gpus", gpus)
    _each(service, "volumes", lambda item: [parse_mount(item) if isinstance(item, str) else item])
    _each(service, "devices", lambda item: [device(item)])
    _each(service, "secrets", lambda item: [file_mount(item)])
    _each(service, "configs", lambda item: [file_mount(item)])
    _each(service, "ports", _ports)
    _drop_empty(service, "dns")


def _ports(item: Any) -> list[Any]:
    is_short = isinstance(item, str | int) and not isinstance(item, bool)
    return parse_port(text_of(item)) if is_short else [item]


def _contexts(value: Any) -> Any:
    is_whole = isinstance(value, Seq) and all("=" in str(item) for item in value)
    return text_pairs(value) if is_whole else value


def _value(owner: Map, key: str, read: Read) -> None:
    if key in owner:
        try:
            owner[key] = adopt(read(owner[key]), owner.marks.get(key))
        except ValueError:
            return


def _each(owner: Map, key: str, read: Callable[[Any], list[Any]]) -> None:
    value = owner.get(key)
    if not isinstance(value, Seq) or all(type(item) is Map for item in value):
        return
    found = Seq(value.mark)
    for item, mark in value.placed():
        try:
            items = read(item)
        except ValueError:
            items = [item]
        for one in items:
            found.add(adopt(one, mark), mark)
    owner[key] = found


def _many(owner: Map, key: str, read: Read) -> None:
    value, mark = owner.get(key), owner.marks.get(key)
    items = [(value, mark)] if isinstance(value, str) else None
    items = value.placed() if isinstance(value, Seq) else items
    if items is not None:
        read_items = ((adopt(read(i), m) if isinstance(i, str) else i, m) for i, m in items)
        owner[key] = seq_of(read_items, mark)


def _by_name(owner: Map, key: str, default: dict[str, Any] | None) -> None:
    value = owner.get(key)
    if not isinstance(value, Seq) or not all(isinstance(item, str) for item in value):
        return
    if len(set(value)) < len(value):
        return
    found = Map(value.mark)
    for name, mark in value.placed():
        found.put(name, adopt(dict(default), mark) if default else None, mark)
    owner[key] = found


def _drop_empty(owner: Map, key: str) -> None:
    if isinstance(value := owner.get(key), Seq) and "" in value:
        owner[key] = seq_of(((i, m) for i, m in value.placed() if i != ""), value.mark)


def _externals(tree: Map, section: str, report: Report) -> None:
    resources = tree.get(section)
    for name, resource in resources.items() if isinstance(resources, Map) else ():
        external = resource.get("external") if isinstance(resource, Map) else None
        if isinstance(external, Map) and _is_old_external(section, external):
            _external_name(resource, external, f"{section}.{name}", report)


def _is_old_external(section: str, external: Map) -> bool:
    more = {key for key in external if key != "name" and not key.startswith("x-")}
    return section in ("configs", "secrets") or not more


def _external_name(resource: Map, external: Map, path: str, report: Report) -> None:
    mark = resource.marks.get("external")
    if "name" in external:
        report.warn(f"{path}: external.name is deprecated. Please set name and external: true")
        if "name" in resource and resource["name"] != external["name"]:
            report.add(mark, path, "name and external.name conflict", "only use name")
        resource.put("name", external["name"], mark)
    resource.put("external", True, mark)
