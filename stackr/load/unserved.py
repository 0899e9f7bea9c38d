"""The keys that `config` reads and the engine does not carry out yet, in one table.

A row goes when the engine learns the key. `*` stands for any name or index.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stackr_schemas.compose.model import ComposeModel
from stackr_schemas.compose.project import Project

from stackr.load.problem import LoadError, Problem
from stackr.load.tree import Path, dotted


@dataclass(frozen=True)
class Unserved:
    """A key, and which of its values are served nevertheless."""

    pattern: str
    is_served: Callable[[Any], bool] = lambda value: False
    served: str = ""
    """What to write instead, for the message."""


MOUNTS = ("bind", "volume", "tmpfs")


def _one_of(*values: object) -> Callable[[Any], bool]:
    return lambda value: value in values


def _network_mode(mode: str) -> bool:
    return mode in ("none", "host", "bridge") or mode.startswith("service:")


def _security_option(option: str) -> bool:
    return option.replace("=", ":", 1).partition(":")[0] in ("no-new-privileges", "seccomp")


def _all(prefix: str, names: str) -> tuple[Unserved, ...]:
    return tuple(Unserved(f"{prefix}.{name}") for name in names.split())


TABLE = (
    *_all(
        "services.*",
        "attach build blkio_config cgroup cgroup_parent cpu_count cpu_percent cpu_rt_period "
        "cpu_rt_runtime credential_spec device_cgroup_rules devices external_links gpus ipc "
        "isolation links mac_address mem_swappiness models oom_kill_disable pid "
        "post_start pre_start pre_stop provider runtime storage_opt use_api_socket userns_mode "
        "uts volumes_from",
    ),
    Unserved(
        "services.*.pull_policy",
        lambda policy: policy not in ("build", "refresh"),
        "always, missing, never, daily, weekly or every_12h",
    ),
    Unserved("services.*.network_mode", _network_mode, "none, host, bridge or service:NAME"),
    Unserved("services.*.security_opt.*", _security_option, "no-new-privileges or seccomp"),
    Unserved("services.*.logging.driver", _one_of("json-file", "none"), "json-file or none"),
    Unserved("services.*.logging.options.max-size", lambda value: True),
    Unserved("services.*.logging.options.max-file", lambda value: True),
    Unserved("services.*.logging.options.*"),
    Unserved("services.*.volumes.*.type", _one_of(*MOUNTS), "bind, volume or tmpfs"),
    Unserved("services.*.volumes.*.bind.selinux"),
    Unserved("services.*.volumes.*.volume.labels"),
    *_all(
        "services.*.networks.*",
        "driver_opts gw_priority interface_name ipv6_address link_local_ips mac_address priority",
    ),
    Unserved("services.*.deploy.mode", _one_of("replicated"), "replicated"),
    *_all("services.*.deploy", "endpoint_mode placement rollback_config update_config"),
    *_all("services.*.deploy.resources.reservations", "cpus devices generic_resources"),
    *_all("services.*.deploy.restart_policy", "delay window"),
    Unserved("networks.*.driver", _one_of("bridge"), "bridge"),
    *_all("networks.*", "attachable driver_opts enable_ipv6"),
    Unserved("networks.*.enable_ipv4", _one_of(True), "true"),
    Unserved("networks.*.ipam.driver", _one_of("default"), "default"),
    Unserved("networks.*.ipam.options"),
    Unserved("volumes.*.driver", _one_of("local"), "local"),
    Unserved("volumes.*.driver_opts"),
    *_all("configs.*", "external template_driver"),
    *_all("secrets.*", "external driver driver_opts template_driver"),
)


def refuse_unserved(project: Project) -> None:
    """Raise LoadError if the enabled services, or what they use, need a key of the table."""
    problems = list(_problems(project.without_unused()))
    if problems:
        raise LoadError(problems)


def _problems(project: Project) -> Iterator[Problem]:
    for section in ("services", "networks", "volumes", "configs", "secrets"):
        for name, item in getattr(project, section).items():
            for path, row in _found(item, (section, name), _rows(section)):
                hint = f"it can be {row.served}" if row.served else "remove it"
                text = dotted(path)
                yield Problem(project.where(text), text, "is not supported yet", hint)


def _rows(section: str) -> list[tuple[tuple[str, ...], Unserved]]:
    rows = [(tuple(row.pattern.split(".")), row) for row in TABLE]
    return [(steps, row) for steps, row in rows if steps[0] == section]


def _found(
    value: Any, path: Path, rows: list[tuple[tuple[str, ...], Unserved]]
) -> Iterator[tuple[Path, Unserved]]:
    for key, item in _items(value):
        below = (*path, key)
        index = len(path)
        matching = [(s, r) for s, r in rows if len(s) > index and s[index] in ("*", str(key))]
        if not matching or item is None:
            continue
        ends = [row for steps, row in matching if len(steps) == index + 1]
        if ends:
            if not ends[0].is_served(item):
                yield below, ends[0]
        else:
            yield from _found(item, below, matching)


def _items(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, ComposeModel):
        for name, field in type(value).model_fields.items():
            item = getattr(value, name)
            if item != field.get_default(call_default_factory=True):
                yield name, item
    elif isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, tuple):
        yield from enumerate(value)
