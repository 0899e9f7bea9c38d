"""The engine: everything on this machine that runs containers, behind one door."""

import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from stackr_schemas.container import ContainerSpec, VolumeMount
from stackr_schemas.errors import Conflict, NotFound, StackrError
from stackr_schemas.events import ContainerRemoved
from stackr_schemas.image import Image
from stackr_schemas.state import ContainerState

from stackr_engine import containers, trash
from stackr_engine.bus import Bus
from stackr_engine.cgroup import open_cgroups
from stackr_engine.container import Container
from stackr_engine.containers import Containers
from stackr_engine.exits import Exits
from stackr_engine.image.store import ImageStore
from stackr_engine.network.networks import Networks
from stackr_engine.network.ports import PortPublished
from stackr_engine.network.resolver import Resolver
from stackr_engine.paths import Paths
from stackr_engine.spawn.client import Spawner
from stackr_engine.state import State
from stackr_engine.volume import Volumes

RestartDelay = Callable[[ContainerState], float | None]
"""Seconds until an ended container is started again, or None if it stays down."""


class Engine:
    """One machine's containers, images, networks and volumes."""

    def __init__(self, paths: Paths, spawner: Spawner, restart_delay: RestartDelay):
        self.paths = paths
        self.spawner = spawner
        self.restart_delay = restart_delay
        self.database = State(paths.database, containers.SCHEMA)
        self.containers = Containers(self.database)
        self.images = ImageStore(paths, self.database)
        self.volumes = Volumes(paths)
        self.networks = Networks(paths, self.database)
        self.resolver = Resolver(paths)
        self.cgroups = open_cgroups(paths.instance)
        self.bus = Bus()
        self.exits = Exits()
        self._live: dict[str, Container] = {}
        self._lock = threading.Lock()
        self._project_locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)

    def live(self, container_id: str) -> Container:
        """Return the object that acts on one existing container."""
        self.containers[container_id]
        with self._lock:
            return self._live.setdefault(container_id, Container(self, container_id))

    def project_lock(self, project: str) -> threading.RLock:
        """Return the lock that one command at a time holds while it changes a project."""
        with self._lock:
            return self._project_locks[project]

    def check_ports(self, specs: Iterable[ContainerSpec], old: Iterable[ContainerState]) -> None:
        """Raise Conflict if a wanted host port is taken by anyone but the `old` containers."""
        free = {(port.host_ip, port.host_port, port.protocol) for o in old for port in o.ports}
        wanted = tuple(
            port
            for spec in specs
            for port in spec.ports
            if port.host_port and (port.host_ip, port.host_port, port.protocol) not in free
        )
        holder = secrets.token_hex(32)
        try:
            self.networks.reserve_ports(holder, wanted)
        except PortPublished as error:
            name = self.containers[error.container].name
            hint = "stop it or publish another port"
            raise Conflict(f"port {error.port} is published by {name}", hint=hint) from None
        finally:
            self.networks.unpublish(holder)

    def remove_volume(self, name: str) -> None:
        """Remove a volume; Conflict while a container has it."""
        users = [state.name for state in self.containers if name in volumes_of(state)]
        self.volumes.remove(name, users)

    def create(
        self, spec: ContainerSpec, image: Image, inherited: Mapping[str, str] | None = None
    ) -> ContainerState:
        """Make a container, not yet started; `inherited` anonymous volumes are used by target."""
        state = ContainerState(
            id=secrets.token_hex(32),
            spec=spec,
            image=image,
            created=time.time(),
            anonymous_volumes=anonymous_volumes(spec, image, inherited or {}),
        )
        self.containers.add(state)
        try:
            self.live(state.id).prepare()
        except BaseException:
            self.remove(state.id)
            raise
        return state

    def start(self, container_id: str) -> None:
        """Start a container; nothing happens if it runs."""
        self.live(container_id).start()

    def stop(self, container_id: str, grace: int | None = None) -> None:
        """Send the stop signal, and SIGKILL after `grace` nanoseconds (None: its own)."""
        self.live(container_id).stop(grace)

    def restart(self, container_id: str, grace: int | None = None) -> None:
        """Stop and start; its network namespace and addresses stay."""
        self.live(container_id).restart(grace)

    def kill(self, container_id: str, signal: int) -> None:
        """Send a signal to process 1."""
        self.live(container_id).kill(signal)

    def remove(self, container_id: str, *, volumes: bool = False) -> None:
        """Kill a container if it runs, and forget it; `volumes`: its anonymous ones too."""
        with suppress(NotFound):
            state = self.containers[container_id]
            self.live(container_id).discard()
            self.containers.remove(container_id)
            self._live.pop(container_id, None)
            for name in state.anonymous_volumes.values() if volumes else ():
                with suppress(StackrError):
                    self.remove_volume(name)
            self.bus.emit(ContainerRemoved(state.id, state.name))
            self.tidy()

    def tidy(self) -> None:
        """With no container, leave the host as it was before the first."""
        with self._lock:
            if not any(True for _ in self.containers):
                self.images.release()
                self.cgroups.remove_parent()

    def replace(
        self,
        old_id: str,
        spec: ContainerSpec,
        image: Image,
        *,
        start: bool = True,
        grace: int | None = None,
    ) -> ContainerState:
        """Put a new container in an old one's place; if that fails, the old one comes back."""
        old = self.containers[old_id]
        self.stop(old_id, grace)
        self.rename(old_id, f"{old_id[:12]}_{old.name}")
        new = None
        try:
            new = self.create(spec, image, old.anonymous_volumes)
            if start:
                self.start(new.id)
        except BaseException:
            if new is not None:
                self.remove(new.id)
            self.rename(old_id, old.name)
            if old.is_running:
                self.start(old_id)
            raise
        self.remove(old_id)
        return new

    def close(self) -> None:
        """Let go of what this process holds; containers run on."""
        trash.wait(self.paths)
        self.resolver.close()
        self.networks.close()
        self.spawner.close()
        self.database.close()

    def rename(self, container_id: str, name: str) -> None:
        """Give a container another name."""
        spec = self.containers[container_id].spec.model_copy(update={"name": name})
        self.containers.update(container_id, spec=spec)

    def recover(self) -> None:
        """Take over what an earlier engine left: look at each container, then at what is nobody's.

        Level-triggered: it reads the kernel and the disk, and puts right what the records say.
        """
        trash.resume(self.paths)
        self.volumes.clean()
        self.images.clean()
        self.networks.reconcile()
        self.resolver.start_or_connect(self.spawner)
        for state in self.containers:
            self.live(state.id).adopt()
        known = {state.id for state in self.containers}
        for group in set(self.cgroups.list()) - known:
            self.cgroups.remove(group)
        for holder in self.networks.holders() - known:
            self.resolver.remove(holder)  # it would keep the namespace open
            self.networks.close_namespace(holder)
        for folder in self.paths.state.joinpath("containers").iterdir():
            if folder.name not in known:
                trash.discard(self.paths, folder)
        self.tidy()


def volumes_of(state: ContainerState) -> set[str]:
    """Name the volumes that a container uses."""
    named = {mount.source for mount in state.spec.mounts if isinstance(mount, VolumeMount)}
    return named | set(state.anonymous_volumes.values())


def anonymous_volumes(
    spec: ContainerSpec, image: Image, inherited: Mapping[str, str]
) -> dict[str, str]:
    """Name a volume for each target that wants one and has no name given; pure but for chance."""
    mounted = {mount.target.rstrip("/"): mount for mount in spec.mounts}
    targets = [
        target
        for target, mount in mounted.items()
        if isinstance(mount, VolumeMount) and not mount.source
    ]
    targets += [path for path in image.config.volumes if path.rstrip("/") not in mounted]
    return {target: inherited.get(target) or secrets.token_hex(32) for target in targets}
