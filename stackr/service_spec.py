"""Translates one service of a stack file into the container that the engine is asked for."""

from collections.abc import Iterator, Mapping
from typing import Any

from stackr_schemas.compose.mount import Mount as ComposeMount
from stackr_schemas.compose.network import ServiceNetwork
from stackr_schemas.compose.port import Port
from stackr_schemas.compose.project import Project
from stackr_schemas.compose.service import Service
from stackr_schemas.container import (
    Attachment,
    BindMount,
    ContainerSpec,
    Healthcheck,
    LogConfig,
    Mount,
    PublishedPort,
    Resources,
    RestartPolicy,
    Rlimit,
    TmpfsMount,
    VolumeMount,
)
from stackr_schemas.errors import StackrError
from stackr_schemas.types import parse_bytes

PERIOD_US = 100_000


def spec_for(
    project: Project,
    name: str,
    number: int,
    *,
    image_id: str = "",
    image_health: Healthcheck | None = None,
    labels: Mapping[str, str],
) -> ContainerSpec:
    """Return the spec of one replica; raises StackrError for what no engine can do."""
    service = project.services[name]
    return ContainerSpec.model_validate(
        {
            "name": container_name(project, name, number),
            "image": service.image,
            "image_id": image_id,
            "labels": {**service.labels, **labels},
            "annotations": service.annotations,
            "mounts": tuple(mounts(project, service)),
            "networks": tuple(attachments(project, name)),
            "network_mode": network_mode(project, service),
            "ports": tuple(published_port(port, name, number) for port in service.ports),
            "healthcheck": healthcheck(service, image_health),
            **process(service),
            **names(service),
            **limits(service),
        }
    )


def process(service: Service) -> dict[str, Any]:
    """Return the fields that say what runs, as whom, and how it ends."""
    grace = service.stop_grace_period
    return {
        "entrypoint": service.entrypoint,
        "command": service.command,
        "environment": {k: text for k, text in service.environment.items() if text is not None},
        "working_dir": service.working_dir or None,
        "user": service.user or None,
        "groups": service.group_add,
        "tty": service.tty,
        "stdin_open": service.stdin_open,
        "init": bool(service.init),
        "stop_signal": service.stop_signal or None,
        "stop_grace_period": 10_000_000_000 if grace is None else grace,
        "restart": restart_policy(service),
        "log": log_config(service),
    }


def names(service: Service) -> dict[str, Any]:
    """Return the fields of host names and of looking names up."""
    hosts = service.extra_hosts.items()
    return {
        "hostname": service.hostname or None,
        "domainname": service.domainname,
        "exposed_ports": tuple(port if "/" in port else f"{port}/tcp" for port in service.expose),
        "extra_hosts": tuple((host, address) for host, found in hosts for address in found),
        "dns": service.dns,
        "dns_search": service.dns_search,
        "dns_options": service.dns_opt,
    }


def limits(service: Service) -> dict[str, Any]:
    """Return the fields of what the container may use and do."""
    ulimits = service.ulimits.items()
    return {
        "read_only": service.read_only,
        "shm_size": service.shm_size or 64 * 1024 * 1024,
        "resources": resources(service),
        "rlimits": tuple(Rlimit(name=k, soft=v.limits[0], hard=v.limits[1]) for k, v in ulimits),
        "oom_score_adj": service.oom_score_adj or None,
        "sysctls": service.sysctls,
        "cap_add": service.cap_add,
        "cap_drop": service.cap_drop,
        "privileged": service.privileged,
        "no_new_privileges": any(
            option.replace("=", ":") in ("no-new-privileges", "no-new-privileges:true")
            for option in service.security_opt
        ),
        "seccomp": seccomp(service),
    }


def container_name(project: Project, service: str, number: int) -> str:
    """Return the name of a replica: `project-service-number`, or as the file says."""
    return project.services[service].container_name or f"{project.name}-{service}-{number}"


def mounts(project: Project, service: Service) -> Iterator[Mount]:
    """Translate volumes, tmpfs entries, and configs and secrets that are files."""
    for mount in service.volumes:
        yield _mount(project, mount)
    for entry in service.tmpfs:
        target, _, options = entry.partition(":")
        yield TmpfsMount(target=target, options=tuple(options.split(",")) if options else ())
    for config in service.configs:
        target = config.target or f"/{config.source}"
        yield BindMount(source=project.configs[config.source].file, target=target, read_only=True)
    for secret in service.secrets:
        target = secret.target or secret.source
        target = target if target.startswith("/") else f"/run/secrets/{target}"
        yield BindMount(source=project.secrets[secret.source].file, target=target, read_only=True)


def _mount(project: Project, mount: ComposeMount) -> Mount:
    match mount.type:
        case "bind":
            bind = mount.bind
            return BindMount(
                source=mount.source,
                target=mount.target,
                read_only=mount.read_only,
                create_host_path=bind.create_host_path if bind else False,
                propagation=(bind.propagation if bind else "") or "rprivate",
                recursive=(bind.recursive if bind else "") or "enabled",
            )
        case "volume":
            options = mount.volume
            declared = project.volumes.get(mount.source)
            return VolumeMount(
                source=declared.name if declared else mount.source,
                target=mount.target,
                read_only=mount.read_only,
                nocopy=options.nocopy if options else False,
                subpath=options.subpath if options else "",
            )
        case "tmpfs":
            size, mode = (mount.tmpfs.size, mount.tmpfs.mode) if mount.tmpfs else (0, 0)
            return TmpfsMount(
                target=mount.target, read_only=mount.read_only, size=size, mode=mode or None
            )
        case other:
            raise StackrError(f"mount type {other} of {mount.target} is not supported yet")


def network_mode(project: Project, service: Service) -> str:
    """Return the engine's word for `network_mode`; other services are named by container."""
    mode = service.network_mode
    if mode.startswith("service:"):
        return f"container:{container_name(project, mode.removeprefix('service:'), 1)}"
    return mode or ("bridge" if service.networks else "none")


def attachments(project: Project, name: str) -> Iterator[Attachment]:
    """Translate a service's networks, the ones with the highest priority first."""
    service = project.services[name]
    for key, place in service.networks.items():
        place = place or ServiceNetwork()
        yield Attachment(
            network=project.networks[key].name,
            aliases=tuple(dict.fromkeys([name, *place.aliases])),
            ipv4=place.ipv4_address or None,
            ipv6=place.ipv6_address or None,
            mac=place.mac_address or service.mac_address or None,
            interface=place.interface_name or None,
            priority=place.priority,
            gw_priority=place.gw_priority,
        )


def published_port(port: Port, service: str, number: int) -> PublishedPort:
    """Translate a port; of a published range, replica N takes the Nth port."""
    first, _, last = port.published.partition("-")
    host_port = int(first) + number - 1 if last else int(first) if first else None
    if last and host_port is not None and host_port > int(last):
        raise StackrError(
            f"services.{service}.ports: {port.published} has no port for replica {number}",
            hint="publish as many ports as there are replicas",
        )
    return PublishedPort(
        container_port=port.target,
        host_port=host_port or None,
        host_ip=port.host_ip,
        protocol=port.protocol,
    )


def resources(service: Service) -> Resources:
    """Collect the limits from the service's own keys and from `deploy.resources`."""
    deploy = service.deploy.resources if service.deploy else None
    limits, reservations = (deploy.limits, deploy.reservations) if deploy else (None, None)
    memory = service.mem_limit or (limits.memory if limits else 0)
    cpus = service.cpus or (limits.cpus if limits else 0)
    quota = service.cpu_quota or round(cpus * PERIOD_US)
    return Resources(
        memory_max=memory or None,
        memory_low=service.mem_reservation or (reservations.memory if reservations else 0) or None,
        memory_swap_max=swap(memory, service.memswap_limit),
        cpu_quota_us=quota or None,
        cpu_period_us=(service.cpu_period or PERIOD_US) if quota else None,
        cpu_weight=cpu_weight(service.cpu_shares) if service.cpu_shares else None,
        cpuset_cpus=service.cpuset or None,
        pids_max=service.pids_limit or (limits.pids if limits else 0) or None,
    )


def swap(memory: int, total: int) -> int | None:
    """Return the bytes of swap alone; Docker allows as much swap as memory if nothing is said."""
    if not memory or total < 0:
        return None
    return total - memory if total else memory


def cpu_weight(shares: int) -> int:
    """Convert shares (2 to 262144) to a cgroup v2 weight (1 to 10000), as runc does."""
    return 1 + (min(max(shares, 2), 262144) - 2) * 9999 // 262142


def seccomp(service: Service) -> str:
    """Return the seccomp option of `security_opt`: `default`, `unconfined` or a file."""
    for option in service.security_opt:
        key, _, value = option.replace("=", ":", 1).partition(":")
        if key == "seccomp":
            return value
    return "default"


def healthcheck(service: Service, image: Healthcheck | None) -> Healthcheck | None:
    """Merge the service's health check over the image's, field by field."""
    check = service.healthcheck
    if check is None:
        return None
    if check.disable:
        return Healthcheck(test=("NONE",))
    given = {
        "interval": check.interval,
        "timeout": check.timeout,
        "start_period": check.start_period,
        "start_interval": check.start_interval,
        "retries": check.retries,
    }
    base = image or Healthcheck(test=())
    changes = {name: value for name, value in given.items() if value}
    return base.model_copy(update={**changes, "test": check.test or base.test})


def restart_policy(service: Service) -> RestartPolicy:
    """Return when the container is started again, from `restart` or `deploy.restart_policy`."""
    policy = service.deploy.restart_policy if service.deploy else None
    if not service.restart and policy:
        names = {"any": "always", "": "always", "on-failure": "on-failure", "none": "no"}
        name = names.get(policy.condition, "no")
        return RestartPolicy.model_validate(
            {"name": name, "max_attempts": policy.max_attempts or 0}
        )
    name, _, attempts = (service.restart or "no").partition(":")
    return RestartPolicy.model_validate({"name": name, "max_attempts": int(attempts or 0)})


def log_config(service: Service) -> LogConfig:
    """Return where output goes, from `logging`."""
    if service.logging is None:
        return LogConfig()
    options = service.logging.options
    size = options.get("max-size", "0")
    return LogConfig.model_validate(
        {
            "driver": service.logging.driver or "json-file",
            "max_size": 0 if size == "-1" else parse_bytes(size),
            "max_file": int(options.get("max-file", "1")),
        }
    )
