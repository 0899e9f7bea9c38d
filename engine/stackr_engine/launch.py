"""Prepares everything that a container's first process needs, and has it started.

What is made in the kernel carries the container's id as its name, and the id is recorded before:
whoever finds it later, by looking, knows whose it is.
"""

import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stackr_schemas.container import BindMount, Healthcheck, PublishedPort, VolumeMount
from stackr_schemas.errors import NotFound, StackrError
from stackr_schemas.network import Endpoint
from stackr_schemas.state import ContainerState

from stackr_engine import bootstrap
from stackr_engine.execution import ExecOptions
from stackr_engine.network.files import hosts_file, resolv_conf
from stackr_engine.network.resolver import Names
from stackr_engine.spawn.request import ExecRequest, Started

if TYPE_CHECKING:
    from stackr_engine.engine import Engine

FILES = {"/etc/hosts": "hosts", "/etc/hostname": "hostname", "/etc/resolv.conf": "resolv.conf"}


@dataclass(frozen=True)
class Connection:
    """What a container was given in its networks."""

    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[PublishedPort, ...] = ()


def launch(
    engine: "Engine", state: ContainerState, attach: socket.socket | None
) -> tuple[Started, Connection]:
    """Start process 1 of a recorded container."""
    spec = state.spec
    prepare_binds(state)
    image = engine.images.ready(state.image)
    network = connect(engine, state)
    files = write_files(engine, state, network.endpoints)
    devices = bootstrap.all_devices() if spec.privileged else bootstrap.devices_for(spec.devices)
    rules = None if spec.privileged else [device.rule for device in devices]
    group = engine.cgroups.create(state.id, spec.resources, rules)
    prepared = bootstrap.Prepared(
        id=state.id,
        folder=engine.paths.container(state.id),
        privileges=bootstrap.privileges_for(spec),
        netns=netns(engine, state),
        volumes=volumes(engine, state),
        files=files,
        devices=tuple(devices),
        hostname=hostname(engine, state),
        cgroup_procs=group.procs_files,
        cgroup_path=group.path,
        oom_file=group.oom_file,
    )
    request = bootstrap.start_request(spec, image, prepared)
    return engine.spawner.start(request, attach), network


def connect(engine: "Engine", state: ContainerState) -> Connection:
    """Give the container its network, ports and names."""
    if state.spec.network_mode not in ("bridge", "none"):
        return Connection()
    engine.networks.open_namespace(state.id)
    if state.spec.network_mode == "none":
        return Connection()
    endpoints = engine.networks.attach(state.id, state.spec.networks)
    ports = engine.networks.publish(state.id, state.spec.ports) if state.spec.ports else ()
    engine.resolver.update(state.id, names(state, endpoints))
    return Connection(tuple(endpoints), ports)


def names(state: ContainerState, endpoints: Sequence[Endpoint]) -> Names:
    """Return what the container is called in its networks, besides its aliases there."""
    known = [state.id[:12], *([state.spec.hostname] if state.spec.hostname else [])]
    return Names(state.name, endpoints, known, state.spec.dns)


def disconnect(engine: "Engine", state: ContainerState) -> None:
    """Take network, ports and names back."""
    if state.spec.network_mode in ("bridge", "none"):
        engine.resolver.remove(state.id)
        engine.networks.close_namespace(state.id)


def reconnect(engine: "Engine", state: ContainerState) -> None:
    """Make a running container's names known again, after the resident was another one."""
    if state.spec.network_mode == "bridge":
        engine.resolver.update(state.id, names(state, state.endpoints))


def netns(engine: "Engine", state: ContainerState) -> str | None:
    """Return the path of the network namespace to join, None for the host's."""
    if state.spec.network_mode == "host":
        return None
    return str(engine.paths.netns(network_owner(engine, state).id))


def network_owner(engine: "Engine", state: ContainerState) -> ContainerState:
    """Return the container whose namespace this one lives in: itself, or as `network_mode` says."""
    if not state.spec.network_mode.startswith("container:"):
        return state
    name = state.spec.network_mode.removeprefix("container:")
    owner = engine.containers.find(name)
    if owner is None:
        raise NotFound(f"network_mode: there is no container {name}")
    if not owner.is_running:
        raise StackrError(f"network_mode: container {name} is not running", hint="start it first")
    return network_owner(engine, owner)


def hostname(engine: "Engine", state: ContainerState) -> str:
    """Return the name that the container has for itself."""
    if state.spec.network_mode == "host" and not state.spec.hostname:
        return socket.gethostname()
    owner = network_owner(engine, state)
    return state.spec.hostname or owner.spec.hostname or owner.id[:12]


def write_files(
    engine: "Engine", state: ContainerState, endpoints: Sequence[Endpoint]
) -> dict[str, str]:
    """Write the files in /etc that are ours; return where they are, by target."""
    owner = network_owner(engine, state)
    folder = engine.paths.container(owner.id)
    if owner is state:
        name = hostname(engine, state)
        host_hosts, host_resolv_conf = (
            Path(file).read_text() for file in ("/etc/hosts", "/etc/resolv.conf")
        )
        gateway = engine.networks.host_address(state.id)
        hosts = hosts_file(state.spec, name, endpoints, gateway, host_hosts)
        (folder / "hosts").write_text(hosts)
        (folder / "hostname").write_text(f"{name}\n")
        (folder / "resolv.conf").write_text(resolv_conf(state.spec, host_resolv_conf))
    return {target: str(folder / file) for target, file in FILES.items()}


def prepare_binds(state: ContainerState) -> None:
    """Make the folders that bind mounts name and allow to be made; refuse other missing ones."""
    for mount in state.spec.mounts:
        if isinstance(mount, BindMount) and not Path(mount.source).exists():
            if not mount.create_host_path:
                raise NotFound(
                    f"bind source path does not exist: {mount.source}",
                    hint="create it, or correct the service's `volumes`",
                )
            with suppress(FileExistsError):
                Path(mount.source).mkdir(parents=True)


def volumes(engine: "Engine", state: ContainerState) -> dict[str, str]:
    """Return the folder of each volume by its target."""
    named = {
        mount.target: mount.source
        for mount in state.spec.mounts
        if isinstance(mount, VolumeMount) and mount.source
    }
    by_target = state.anonymous_volumes | named
    return {target: str(engine.volumes.path(name)) for target, name in by_target.items()}


def healthcheck_of(state: ContainerState) -> Healthcheck | None:
    """Return the health check that holds: the spec's, else the image's; None for none."""
    check = state.spec.healthcheck or state.image.config.healthcheck
    return None if check is None or check.test[:1] in ((), ("NONE",)) else check


def exec_request(
    engine: "Engine",
    state: ContainerState,
    running: Started,
    arguments: Sequence[str],
    options: ExecOptions,
) -> ExecRequest:
    """Return the request for one more process in a running container."""
    return bootstrap.exec_request(
        state.spec,
        state.image,
        state.id,
        running,
        arguments,
        options,
        privileges=bootstrap.privileges_for(state.spec, options.privileged),
        cgroup_procs=engine.cgroups.group(state.id).procs_files,
        hostname=hostname(engine, state),
    )
