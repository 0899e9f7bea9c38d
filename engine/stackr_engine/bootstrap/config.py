"""The OCI config of one container, and the request that has it run. Pure: nothing is looked up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stackr_schemas.container import ContainerSpec
from stackr_schemas.errors import StackrError
from stackr_schemas.image import Image

from stackr_engine.bootstrap.devices import Device
from stackr_engine.bootstrap.mounts import mounts_for
from stackr_engine.bootstrap.privileges import Privileges
from stackr_engine.bootstrap.process import process, user_spec
from stackr_engine.spawn.request import LogFile, Overlay, StartRequest

OCI_VERSION = "1.2.0"
LOG = "container.log"
"""The log's name in the container's folder."""
ROOTFS, UPPER, WORK = "rootfs", "upper", "work"
MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_OWN_SYSCTLS = ("kernel.msg", "kernel.shm", "fs.mqueue.")
_SINGLE_SYSCTLS = ("kernel.sem", "kernel.domainname", "kernel.hostname")


@dataclass(frozen=True)
class Prepared:
    """What was made or looked up for a container before its config can be written.

    `netns` None is the host's network. `volumes` are host folders by target, `files` the
    engine-owned files by target (/etc/hosts …). `hostname` overrides the spec's and the id.
    """

    id: str
    folder: Path
    privileges: Privileges
    netns: str | None = None
    volumes: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[Device, ...] = ()
    hostname: str = ""
    cgroup_procs: tuple[str, ...] = ()
    cgroup_path: str = ""
    oom_file: str = ""


def oci_config(spec: ContainerSpec, image: Image, prepared: Prepared) -> dict[str, Any]:
    """Return the container as an OCI runtime-spec config.

    Raise StackrError for what this engine does not do.
    """
    _refuse(spec)
    hostname = prepared.hostname or spec.hostname or prepared.id[:12]
    shares_host_name = spec.uts_mode == "host"
    config: dict[str, Any] = {
        "ociVersion": OCI_VERSION,
        "process": process(spec, image, hostname, prepared.privileges),
        "root": {"path": str(prepared.folder / ROOTFS), "readonly": spec.read_only},
        "mounts": mounts_for(spec, prepared.volumes, prepared.files),
        "annotations": spec.annotations,
        "linux": _linux(spec, prepared),
    }
    if not shares_host_name:
        config |= {"hostname": hostname, "domainname": spec.domainname}
    return config


def _linux(spec: ContainerSpec, prepared: Prepared) -> dict[str, Any]:
    linux: dict[str, Any] = {
        "namespaces": _namespaces(spec, prepared.netns),
        "sysctl": _sysctls(spec, prepared.netns),
        "devices": [device.node for device in prepared.devices],
        "maskedPaths": [] if spec.privileged else list(MASKED),
        "readonlyPaths": [] if spec.privileged else list(READ_ONLY),
        "cgroupsPath": prepared.cgroup_path,
    }
    if prepared.privileges.profile is not None:
        linux["seccomp"] = prepared.privileges.profile
    return linux


def _namespaces(spec: ContainerSpec, netns: str | None) -> list[dict[str, str]]:
    names = ["pid", "mount", "ipc", "cgroup"] + ([] if spec.uts_mode == "host" else ["uts"])
    network = [] if netns is None else [{"type": "network", "path": netns}]
    return [{"type": name} for name in names] + network


def _refuse(spec: ContainerSpec) -> None:
    for key, value, served in (
        ("pid", spec.pid_mode, ("", "private")),
        ("ipc", spec.ipc_mode, ("", "private", "shareable")),
        ("uts", spec.uts_mode, ("", "private", "host")),
    ):
        if value not in served:
            raise StackrError(
                f"container {spec.name}: {key}: {value} is not supported",
                hint=f"leave `{key}` out: the container gets a namespace of its own",
            )


def _sysctls(spec: ContainerSpec, netns: str | None) -> dict[str, str]:
    """Return the parameters; those that are not a namespace's own would change the host."""
    for name in spec.sysctls:
        dotted = name if "/" not in name else name.replace("/", ".")
        is_network = dotted.startswith("net.") and netns is not None
        if not (is_network or dotted.startswith(_OWN_SYSCTLS) or dotted in _SINGLE_SYSCTLS):
            raise StackrError(
                f"container {spec.name}: sysctl {name} is the host's, not the container's",
                hint="set it on the host; a container has net.*, kernel.msg*, kernel.shm*,"
                " kernel.sem and fs.mqueue.* of its own",
            )
    return dict(spec.sysctls)


def start_request(
    spec: ContainerSpec, image: Image, prepared: Prepared, size: tuple[int, int] | None = None
) -> StartRequest:
    """Return the request to the spawner; `size` is the terminal's rows and columns."""
    folder = prepared.folder
    overlay = Overlay(image.lowers, str(folder / UPPER), str(folder / WORK))
    log = LogFile(str(folder / LOG), spec.log.max_size, spec.log.max_file)
    return StartRequest(
        id=prepared.id,
        folder=folder,
        config=oci_config(spec, image, prepared),
        overlay=overlay,
        user=user_spec(spec, image),
        groups=spec.groups,
        log=log if spec.log.driver == "json-file" else None,
        init=spec.init,
        stdin_open=spec.stdin_open,
        size=size,
        cgroup_procs=prepared.cgroup_procs,
        oom_file=prepared.oom_file,
        seccomp=prepared.privileges.seccomp,
    )
