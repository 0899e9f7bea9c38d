"""What a stack file leaves implicit: the default network, names, dependencies, build defaults."""

from typing import Any

from stackr_schemas.compose.device_request import ALL
from stackr_schemas.types import text_of

from stackr.load.template import Lookup
from stackr.load.tree import Map, Mark, Seq, adopt, entries_in, maps_in, seq_of

STARTED = "service_started"
TRUE = ("true", "yes", "y", "on")
NAMESPACES = ("network_mode", "ipc", "pid", "uts", "cgroup")


def set_defaults(tree: Map) -> None:
    """Fill in what every consumer would have to assume."""
    for service in maps_in(tree, "services"):
        for mount in entries_in(service, "secrets"):
            if isinstance(mount.get("source"), str) and "target" not in mount:
                mount.put("target", f"/run/secrets/{mount['source']}", mount.mark)
        if isinstance(service.get("build"), Map):
            _default(service["build"], "context", ".")
        for request in [*entries_in(service, "gpus"), *_reserved_devices(service)]:
            if "count" not in request and "device_ids" not in request:
                request.put("count", ALL, request.mark)


def normalize(tree: Map, lookup: Lookup) -> None:
    """Complete a tree in place."""
    _default_network(tree)
    for service in maps_in(tree, "services"):
        if service.get("pull_policy") == "if_not_present":
            service["pull_policy"] = "missing"
        build = service.get("build")
        if isinstance(build, Map):
            if not build.get("dockerfile_inline"):
                _default(build, "dockerfile", "Dockerfile")
            _resolve(build, "args", lookup)
        _resolve(service, "environment", lookup)
        _depend(service)
    _name_resources(tree)


def _texts(tree: Map, key: str) -> list[tuple[str, Mark | None]]:
    value = tree.get(key)
    found = value.placed() if isinstance(value, Seq) else []
    return [(item, mark) for item, mark in found if isinstance(item, str)]


def _default(owner: Map, key: str, value: Any) -> None:
    if key not in owner:
        owner.put(key, value, owner.marks.get(key) or owner.mark)


def _reserved_devices(service: Map) -> list[Map]:
    value: Any = service
    for key in ("deploy", "resources", "reservations"):
        value = value.get(key) if isinstance(value, Map) else None
    return entries_in(value, "devices")


def _default_network(tree: Map) -> None:
    is_used = False
    for service in maps_in(tree, "services"):
        if "network_mode" in service or "provider" in service:
            continue
        networks = service.get("networks", {})
        if networks in ({}, []):
            service.put("networks", adopt({"default": None}, service.mark), service.mark)
            is_used = True
        elif isinstance(networks, Map | Seq):
            is_used = is_used or "default" in networks
    if is_used:
        if "networks" not in tree:
            tree.put("networks", Map(tree.mark), tree.mark)
        if isinstance(tree["networks"], Map) and "default" not in tree["networks"]:
            tree["networks"].put("default", None, None)


def _resolve(owner: Map, key: str, lookup: Lookup) -> None:
    """Give variables without a value that of the environment; drop listed ones that have none."""
    value = owner.get(key)
    if isinstance(value, Map):
        for name in [name for name, item in value.items() if item is None]:
            found = lookup(name)
            if found is not None:
                value[name] = found
            elif key == "environment":
                value.drop(name)
    elif isinstance(value, Seq):
        resolved = ((_pair(item, lookup), mark) for item, mark in value.placed())
        owner[key] = seq_of(((i, m) for i, m in resolved if i is not None), value.mark)


def _pair(item: Any, lookup: Lookup) -> Any:
    if not isinstance(item, str) or "=" in item:
        return item
    value = lookup(item)
    return None if value is None else f"{item}={value}"


def _depend(service: Map) -> None:
    """Add the dependencies that links, shared namespaces and shared volumes imply."""
    implied: list[tuple[str, bool, Mark | None]] = []
    for link, mark in _texts(service, "links"):
        implied.append((link.split(":")[0] if link.count(":") == 1 else link, True, mark))
    for key in NAMESPACES:
        value = service.get(key)
        if isinstance(value, str) and value.startswith("service:"):
            implied.append((value.removeprefix("service:"), True, service.marks.get(key)))
    for source, mark in _texts(service, "volumes_from"):
        if not source.startswith("container:"):
            implied.append((source.split(":")[0], False, mark))
    if implied:
        _default(service, "depends_on", Map(service.mark))
    depends_on = service.get("depends_on")
    for name, restart, mark in implied:
        if isinstance(depends_on, Map) and name not in depends_on:
            dependency = {"condition": STARTED, "restart": restart, "required": True}
            depends_on.put(name, adopt(dependency, mark), mark)


def _name_resources(tree: Map) -> None:
    for section in ("networks", "volumes", "configs", "secrets"):
        resources = tree.get(section)
        if not isinstance(resources, Map):
            continue
        for key, resource in resources.items():
            if resource is None:
                resource = resources[key] = Map(resources.marks.get(key))
            if isinstance(resource, Map):
                is_external = text_of(resource.get("external")).lower() in TRUE
                _default(resource, "name", key if is_external else f"{tree.get('name')}_{key}")
