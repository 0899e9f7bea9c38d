"""Entries of a list that mean the same thing: the later one takes the earlier one's place."""

from collections.abc import Callable
from typing import Any

from stackr_schemas.compose.port import port_key

from stackr.load.tree import Map, Seq, maps_in

Key = Callable[[Any], Any]


def _name(item: Any) -> Any:
    return item.partition("=")[0] if isinstance(item, str) else item


def _target(item: Any) -> Any:
    return item.get("target") if isinstance(item, Map) else item


def _path(item: Any) -> Any:
    return item.get("path") if isinstance(item, Map) else item


def _itself(item: Any) -> Any:
    return str(item) if isinstance(item, int) else item


def _mounted_below(folder: str) -> Key:
    def key(item: Any) -> Any:
        if not isinstance(item, Map):
            return item
        return item.get("target", f"{folder}/{item.get('source')}")

    return key


SERVICE_LISTS: dict[str, Key] = {
    "annotations": _name,
    "cap_add": _name,
    "cap_drop": _name,
    "configs": _mounted_below(""),
    "devices": _target,
    "dns": _name,
    "dns_opt": _name,
    "dns_search": _name,
    "env_file": _path,
    "environment": _name,
    "expose": _itself,
    "labels": _name,
    "links": _name,
    "ports": port_key,
    "profiles": _name,
    "secrets": _mounted_below("/run/secrets"),
    "sysctls": _name,
    "tmpfs": _name,
    "volumes": _target,
}
BUILD_LISTS: dict[str, Key] = dict.fromkeys(
    ("args", "additional_contexts", "tags", "labels"), _name
)


def enforce(tree: Map) -> None:
    """Keep one entry a key in every list that has keys."""
    for service in maps_in(tree, "services"):
        _enforce(service, SERVICE_LISTS)
        _enforce(service.get("build"), BUILD_LISTS)
        _enforce(service.get("deploy"), {"labels": _name})
        for network in maps_in(service, "networks"):
            _enforce(network, {"aliases": _name, "link_local_ips": _name})
    for network in maps_in(tree, "networks"):
        _enforce(network, {"labels": _name})


def _enforce(owner: Any, lists: dict[str, Key]) -> None:
    if not isinstance(owner, Map):
        return
    for name in lists.keys() & owner.keys():
        value = owner[name]
        if isinstance(value, Seq) and len(value) > 1:
            owner[name] = _kept(value, lists[name])


def _kept(value: Seq, key_of: Key) -> Seq:
    kept = Seq(value.mark)
    places: dict[Any, int] = {}
    for item, mark in value.placed():
        key = key_of(item)
        key = repr(key) if isinstance(key, Map | Seq) or key is None else key
        if key in places:
            kept[places[key]], kept.marks[places[key]] = item, mark
        else:
            places[key] = len(kept)
            kept.add(item, mark)
    return kept
