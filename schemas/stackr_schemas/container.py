"""What the engine is asked to run: one container, in OCI and kernel words.

Every field says what changing it takes: `Annotated[T, Change.UPDATE]` can be applied to a
running container; a field that says nothing needs a new container.
"""

from enum import Enum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Change(Enum):
    """What it takes to bring a changed field into a running container."""

    UPDATE = "update"
    RECREATE = "recreate"


class Frozen(BaseModel):
    """An immutable value; unknown fields are programming errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class BindMount(Frozen):
    """A host path seen at `target`."""

    type: Literal["bind"] = "bind"
    source: str
    target: str
    read_only: bool = False
    create_host_path: bool = True
    propagation: str = "rprivate"
    recursive: Literal["enabled", "disabled", "writable", "readonly"] = "enabled"


class VolumeMount(Frozen):
    """A named or anonymous (`source` empty until created) volume at `target`."""

    type: Literal["volume"] = "volume"
    source: str
    target: str
    read_only: bool = False
    nocopy: bool = False
    subpath: str = ""


class TmpfsMount(Frozen):
    """Memory at `target`; `size` in bytes, 0 for the kernel's default."""

    type: Literal["tmpfs"] = "tmpfs"
    target: str
    read_only: bool = False
    size: int = 0
    mode: int | None = None
    options: tuple[str, ...] = ()


Mount = Annotated[BindMount | VolumeMount | TmpfsMount, Field(discriminator="type")]


class Attachment(Frozen):
    """The container's place in one network."""

    network: str
    aliases: tuple[str, ...] = ()
    ipv4: str | None = None
    ipv6: str | None = None
    mac: str | None = None
    interface: str | None = None
    priority: int = 0
    gw_priority: int = 0


class PublishedPort(Frozen):
    """One host port forwarded to one container port; `host_port` None lets the engine choose."""

    container_port: int
    host_port: int | None = None
    host_ip: str = ""
    protocol: Literal["tcp", "udp", "sctp"] = "tcp"


class Resources(Frozen):
    """Limits, named after their cgroup v2 files (`memory_max` is `memory.max`); None: no limit."""

    memory_max: int | None = None
    memory_low: int | None = None
    memory_swap_max: int | None = None
    cpu_quota_us: int | None = None
    cpu_period_us: int | None = None
    cpu_weight: int | None = None
    cpuset_cpus: str | None = None
    cpuset_mems: str | None = None
    pids_max: int | None = None


class Rlimit(Frozen):
    """One `setrlimit(2)` limit; `name` without the RLIMIT_ prefix, lower case."""

    name: str
    soft: int
    hard: int


class Healthcheck(Frozen):
    """How health is told; durations in nanoseconds as in the OCI image config."""

    test: tuple[str, ...]
    interval: int = 30_000_000_000
    timeout: int = 30_000_000_000
    start_period: int = 0
    start_interval: int = 5_000_000_000
    retries: int = 3


class RestartPolicy(Frozen):
    """When an ended container is started again; `max_attempts` 0: without end."""

    name: Literal["no", "always", "on-failure", "unless-stopped"] = "no"
    max_attempts: int = 0


class LogConfig(Frozen):
    """Where output goes; `max_size` in bytes, 0: no rotation."""

    driver: Literal["json-file", "none"] = "json-file"
    max_size: int = 0
    max_file: int = 1


class ContainerSpec(Frozen):
    """One container as it is wanted. None means: as the image says."""

    name: str
    image: str
    image_id: str = ""
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    environment: dict[str, str] = Field(default_factory=dict)
    working_dir: str | None = None
    user: str | None = None
    groups: tuple[str, ...] = ()
    tty: bool = False
    stdin_open: bool = False
    init: bool = False
    hostname: str | None = None
    domainname: str = ""
    labels: Annotated[dict[str, str], Change.UPDATE] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    stop_signal: str | None = None
    stop_grace_period: Annotated[int, Change.UPDATE] = 10_000_000_000
    """Nanoseconds between the stop signal and SIGKILL."""

    mounts: tuple[Mount, ...] = ()
    read_only: bool = False
    shm_size: int = 64 * 1024 * 1024
    """Bytes of /dev/shm."""

    network_mode: str = "bridge"
    """`bridge` (the `networks`), `none`, `host` or `container:ID`."""
    networks: Annotated[tuple[Attachment, ...], Change.UPDATE] = ()
    ports: Annotated[tuple[PublishedPort, ...], Change.UPDATE] = ()
    exposed_ports: tuple[str, ...] = ()
    """`PORT/PROTOCOL` that the container offers to its networks; shown, never published."""
    extra_hosts: tuple[tuple[str, str], ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()

    resources: Annotated[Resources, Change.UPDATE] = Resources()
    rlimits: tuple[Rlimit, ...] = ()
    oom_score_adj: int | None = None
    sysctls: dict[str, str] = Field(default_factory=dict)
    devices: tuple[str, ...] = ()
    """`HOST[:CONTAINER[:rwm]]`."""
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    privileged: bool = False
    no_new_privileges: bool = False
    seccomp: str = "default"
    """`default`, `unconfined`, or a profile's JSON text."""
    pid_mode: str = ""
    ipc_mode: str = ""
    uts_mode: str = ""

    healthcheck: Annotated[Healthcheck | None, Change.UPDATE] = None
    """None: the image's own; a test of `("NONE",)`: none."""
    restart: Annotated[RestartPolicy, Change.UPDATE] = RestartPolicy()
    log: LogConfig = LogConfig()


def change_for(field: str) -> Change:
    """Tell what a changed field of `ContainerSpec` takes."""
    metadata = ContainerSpec.model_fields[field].metadata
    return next((item for item in metadata if isinstance(item, Change)), Change.RECREATE)


def changed_fields(old: ContainerSpec, new: ContainerSpec) -> list[str]:
    """Name the fields in which two specs differ, in the order in which they are declared."""
    names = ContainerSpec.model_fields
    return [name for name in names if getattr(old, name) != getattr(new, name)]
