"""One service."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from stackr_schemas.compose.ai_model import ServiceModels
from stackr_schemas.compose.blkio import BlkioConfig
from stackr_schemas.compose.build import AnyBuild
from stackr_schemas.compose.command import Command, HealthTest
from stackr_schemas.compose.deploy import Deploy
from stackr_schemas.compose.develop import Develop
from stackr_schemas.compose.device_request import Gpus
from stackr_schemas.compose.forms import (
    Hosts,
    Options,
    Pairs,
    StringOrList,
    UniqueStringOrList,
    UniqueStrings,
    Variables,
    keyed,
    numbers_as_text,
)
from stackr_schemas.compose.hook import Hook
from stackr_schemas.compose.model import GIVEN, ComposeModel
from stackr_schemas.compose.mount import AnyDevice, AnyFileMount, AnyMount
from stackr_schemas.compose.network import ServiceNetworks
from stackr_schemas.compose.port import Ports
from stackr_schemas.compose.ulimit import Ulimits
from stackr_schemas.types import Bool, Bytes, Duration, Float, Int, Number, WholeBytes, text_of

Condition = Literal["service_started", "service_healthy", "service_completed_successfully"]
CONTAINER_NAME = "[a-zA-Z0-9][a-zA-Z0-9_.-]+"
PULL_POLICY = (
    "always|never|build|if_not_present|missing|refresh|daily|weekly|every_([0-9]+[wdhms])+"
)


class Dependency(ComposeModel):
    """What a service waits for in another one."""

    condition: Condition
    restart: Bool = False
    required: Annotated[bool, Field(strict=True)]


class EnvFile(ComposeModel):
    """One file of variables."""

    path: str
    required: Bool = True
    format: str = ""


class Extends(ComposeModel):
    """The service that this one builds on."""

    service: str
    file: str = ""


class Healthcheck(ComposeModel):
    """How health is told; durations in nanoseconds."""

    test: HealthTest = ()
    timeout: Annotated[Duration | None, GIVEN] = None
    interval: Annotated[Duration | None, GIVEN] = None
    retries: Annotated[Annotated[Number, Field(ge=0)] | None, GIVEN] = None
    start_period: Annotated[Duration | None, GIVEN] = None
    start_interval: Annotated[Duration | None, GIVEN] = None
    disable: Bool = False


class Logging(ComposeModel):
    """Where output goes."""

    driver: str = ""
    options: Options = Field(default_factory=dict)


class CredentialSpec(ComposeModel):
    """Credentials of a managed service account."""

    config: str = ""
    file: str = ""
    registry: str = ""


def _option_values(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return {
        key: tuple(map(text_of, item)) if isinstance(item, list) else (text_of(item),)
        for key, item in value.items()
    }


class Provider(ComposeModel):
    """A service that something else runs."""

    type: str
    options: Annotated[
        dict[str, tuple[str, ...]],
        BeforeValidator(_option_values, json_schema_input_type=dict[str, object]),
    ] = Field(default_factory=dict)


def env_files(value: object) -> object:
    """Read `env_file` in each of its forms."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list):
        return items
    return [{"path": item} if isinstance(item, str) else item for item in items]


def read_extends(value: object) -> object:
    """Read `extends` in either form."""
    return {"service": value} if isinstance(value, str) else value


STARTED: dict[str, object] = {"condition": "service_started", "required": True}


def dependencies(value: object) -> object:
    """Read `depends_on` in either form; a dependency is required unless it says otherwise."""
    found = keyed(STARTED)(value)
    if not isinstance(found, dict):
        return found
    return {
        name: {"required": True} | item if isinstance(item, dict) else item
        for name, item in found.items()
    }


class Service(ComposeModel):
    """One service; sizes in bytes, durations in nanoseconds."""

    profiles: UniqueStrings = ()
    annotations: Pairs = Field(default_factory=dict)
    attach: Annotated[Bool | None, GIVEN] = None
    build: AnyBuild = None
    develop: Develop | None = None
    blkio_config: Annotated[BlkioConfig | None, GIVEN] = None
    cap_add: UniqueStrings = ()
    cap_drop: UniqueStrings = ()
    cgroup_parent: str = ""
    cgroup: Literal["", "host", "private"] = ""
    cpu_count: Annotated[Int, Field(ge=0)] = 0
    cpu_percent: Annotated[Float, Field(ge=0, le=100)] = 0.0
    cpu_period: Number = 0
    cpu_quota: Number = 0
    cpu_rt_period: Number = 0
    cpu_rt_runtime: Number = 0
    cpus: Float = 0.0
    cpuset: str = ""
    cpu_shares: Number = 0
    command: Command = None
    configs: tuple[AnyFileMount, ...] = ()
    container_name: Annotated[str, StringConstraints(pattern=CONTAINER_NAME)] = ""
    credential_spec: Annotated[CredentialSpec | None, GIVEN] = None
    depends_on: Annotated[
        dict[str, Dependency],
        BeforeValidator(dependencies, json_schema_input_type=list[str] | dict[str, Dependency]),
    ] = Field(default_factory=dict)
    deploy: Deploy | None = None
    device_cgroup_rules: UniqueStrings = ()
    devices: tuple[AnyDevice, ...] = ()
    dns: UniqueStringOrList = ()
    dns_opt: UniqueStrings = ()
    dns_search: UniqueStringOrList = ()
    domainname: str = ""
    entrypoint: Command = None
    env_file: Annotated[
        tuple[EnvFile, ...],
        BeforeValidator(env_files, json_schema_input_type=str | list[str | EnvFile]),
    ] = ()
    environment: Variables = Field(default_factory=dict)
    expose: Annotated[
        UniqueStrings, BeforeValidator(numbers_as_text, json_schema_input_type=list[str | int])
    ] = ()
    extends: Annotated[
        Extends | None, GIVEN, BeforeValidator(read_extends, json_schema_input_type=str | Extends)
    ] = None
    external_links: UniqueStrings = ()
    extra_hosts: Hosts = Field(default_factory=dict)
    gpus: Gpus = ()
    group_add: Annotated[
        UniqueStrings, BeforeValidator(numbers_as_text, json_schema_input_type=list[str | int])
    ] = ()
    hostname: str = ""
    healthcheck: Annotated[Healthcheck | None, GIVEN] = None
    image: str = ""
    init: Annotated[Bool | None, GIVEN] = None
    ipc: str = ""
    isolation: str = ""
    labels: Pairs = Field(default_factory=dict)
    label_file: StringOrList = ()
    links: UniqueStrings = ()
    logging: Annotated[Logging | None, GIVEN] = None
    mac_address: str = ""
    mem_limit: Bytes = 0
    mem_reservation: WholeBytes = 0
    mem_swappiness: WholeBytes = 0
    memswap_limit: Bytes = 0
    models: ServiceModels = Field(default_factory=dict)
    network_mode: str = ""
    networks: ServiceNetworks = Field(default_factory=dict)
    oom_kill_disable: Bool = False
    oom_score_adj: Annotated[Int, Field(ge=-1000, le=1000)] = 0
    pid: str | None = None
    pids_limit: Number = 0
    platform: str = ""
    ports: Ports = ()
    post_start: tuple[Hook, ...] = ()
    pre_start: tuple[Hook, ...] = ()
    pre_stop: tuple[Hook, ...] = ()
    privileged: Bool = False
    provider: Annotated[Provider | None, GIVEN] = None
    pull_policy: Annotated[str, StringConstraints(pattern=PULL_POLICY)] = ""
    pull_refresh_after: str = Field(default="", exclude=True)
    """Checked, and not rendered: Docker Compose drops it."""
    read_only: Bool = False
    restart: str = ""
    runtime: str = ""
    scale: Annotated[Annotated[Int, Field(ge=0)] | None, GIVEN] = None
    secrets: tuple[AnyFileMount, ...] = ()
    security_opt: UniqueStrings = ()
    shm_size: Bytes = 0
    stdin_open: Bool = False
    stop_grace_period: Annotated[Duration | None, GIVEN] = None
    stop_signal: str = ""
    storage_opt: Options = Field(default_factory=dict)
    sysctls: Pairs = Field(default_factory=dict)
    tmpfs: UniqueStringOrList = ()
    tty: Bool = False
    ulimits: Ulimits = Field(default_factory=dict)
    use_api_socket: Annotated[bool, Field(strict=True)] = False
    user: str = ""
    userns_mode: str = ""
    uts: str = ""
    volumes: tuple[AnyMount, ...] = ()
    volumes_from: UniqueStrings = ()
    working_dir: str = ""

    @property
    def replicas(self) -> int:
        """How many containers are wanted."""
        if self.scale is not None:
            return self.scale
        return 1 if self.deploy is None or self.deploy.replicas is None else self.deploy.replicas
