"""The `mounts` of an OCI config, in the order in which they have to be made."""

from collections.abc import Mapping
from typing import Any

from stackr_schemas.container import BindMount, ContainerSpec, Mount, TmpfsMount, VolumeMount
from stackr_schemas.errors import StackrError

from stackr_engine.bootstrap.process import absolute

_SAFE = ["nosuid", "noexec", "nodev"]
_PROC_FILES = {
    f"/proc/{name}"
    for name in ("cpuinfo", "diskstats", "loadavg", "meminfo", "stat", "swaps", "uptime")
}
"""What may be mounted over inside /proc: lxcfs does that."""


def mounts_for(
    spec: ContainerSpec, volumes: Mapping[str, str], files: Mapping[str, str]
) -> list[dict[str, Any]]:
    """List all mounts, those nearer to the root first.

    `volumes` gives the host's folder for each target, also those that the image declares;
    `files` those of /etc that the engine keeps. A mount of the user's replaces a default one.
    """
    own = {absolute(mount.target): _mount(mount, volumes) for mount in spec.mounts}
    for target in own:
        _check_target(target)
    access = "ro" if spec.read_only else "rw"
    found = {mount["destination"]: mount for mount in _defaults(spec)}
    for target, source in files.items():
        found[target] = _bind(target, source, ["rbind", "rprivate", access])
    for target, source in volumes.items():
        found.setdefault(absolute(target), _bind(absolute(target), source, ["rbind", "rprivate"]))
    return sorted((found | own).values(), key=lambda mount: mount["destination"].count("/"))


def _check_target(target: str) -> None:
    if target == "/":
        raise StackrError("a mount's target is /", hint="mount at a folder below it")
    inside = target == "/proc" or target.startswith("/proc/")
    if inside and target not in _PROC_FILES:
        raise StackrError(
            f"{target} cannot be mounted over: it would hide what protects the host",
            hint=f"of /proc only {', '.join(sorted(_PROC_FILES))} can be",
        )


def _defaults(spec: ContainerSpec) -> list[dict[str, Any]]:
    access = "rw" if spec.privileged else "ro"
    shm = [*_SAFE, "mode=1777", f"size={spec.shm_size}"]
    pts = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
    dev = ["nosuid", "strictatime", "mode=755", "size=65536k"]
    return [
        _filesystem("/proc", "proc", _SAFE),
        _filesystem("/dev", "tmpfs", dev),
        _filesystem("/dev/pts", "devpts", pts),
        _filesystem("/sys", "sysfs", [*_SAFE, access]),
        _filesystem("/sys/fs/cgroup", "cgroup", [*_SAFE, access]),
        _filesystem("/dev/mqueue", "mqueue", _SAFE),
        _filesystem("/dev/shm", "tmpfs", shm, "shm"),
    ]


def _filesystem(target: str, kind: str, options: list[str], source: str = "") -> dict[str, Any]:
    return {
        "destination": target,
        "type": kind,
        "source": source or kind,
        "options": list(options),
    }


def _bind(target: str, source: str, options: list[str]) -> dict[str, Any]:
    return {"destination": target, "type": "bind", "source": source, "options": options}


def _mount(mount: Mount, volumes: Mapping[str, str]) -> dict[str, Any]:
    target = absolute(mount.target)
    match mount:
        case BindMount():
            return _bind(target, mount.source, [*_bind_options(mount), mount.propagation])
        case VolumeMount():
            access = "rro" if mount.read_only else "rw"
            made = _bind(target, volumes[mount.target], ["rbind", access, "rprivate"])
            return made | ({"subpath": mount.subpath} if mount.subpath else {})
        case TmpfsMount():
            return _filesystem(target, "tmpfs", _tmpfs_options(mount))


def _bind_options(mount: BindMount) -> list[str]:
    """As Docker: read-only covers what is mounted below, unless that is to stay writable."""
    kind = "bind" if mount.recursive == "disabled" else "rbind"
    if not mount.read_only:
        return [kind, "rw"]
    return [kind, "ro" if mount.recursive in ("disabled", "writable") else "rro"]


def _tmpfs_options(mount: TmpfsMount) -> list[str]:
    options = [*_SAFE, *(["ro"] if mount.read_only else []), *mount.options]
    options += [f"size={mount.size}"] if mount.size else []
    given = {option.partition("=")[0] for option in mount.options}
    mode = mount.mode if mount.mode is not None else None if "mode" in given else 0o1777
    return options + ([f"mode={mode:o}"] if mode is not None else [])
