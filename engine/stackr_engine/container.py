"""One container's life: prepared, started, stopped, found again, discarded."""

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from stackr_schemas.container import VolumeMount
from stackr_schemas.errors import Conflict, StackrError
from stackr_schemas.events import ContainerDied, ContainerStarted
from stackr_schemas.state import ContainerState, Health, Status

from stackr_engine import launch, trash
from stackr_engine.execution import ExecOptions
from stackr_engine.spawn.adopt import find_running, read_exit
from stackr_engine.spawn.client import SpawnError
from stackr_engine.spawn.request import Executed, Started

if TYPE_CHECKING:
    from stackr_engine.engine import Engine

KILL_TIMEOUT = 10.0
"""Seconds after SIGKILL until we call a container stuck (a dead NFS server can hold one)."""


class Container:
    """Acts on one container; every method looks at the recorded state under the lock first."""

    def __init__(self, engine: "Engine", container_id: str):
        self.engine = engine
        self.id = container_id
        self.folder = engine.paths.container(container_id)
        self.lock = threading.RLock()
        self.ended = threading.Event()
        """Set while there is no process."""
        self.ended.set()
        self.process: Started | None = None
        self._holds_resources = True
        """Whether cgroup, network and names may exist; True until looked at."""

    @property
    def state(self) -> ContainerState:
        """What is recorded now."""
        return self.engine.containers[self.id]

    def prepare(self) -> None:
        """Make the container's folder and fill its volumes."""
        self.folder.mkdir(mode=0o700)
        state, volumes = self.state, self.engine.volumes
        image = self.engine.images.ready(state.image)  # it may have been let go meanwhile
        for target, name in state.anonymous_volumes.items():
            volumes.ensure(name, {"com.docker.volume.anonymous": ""})
            volumes.copy_up(name, image.lowers, target)
        for mount in state.spec.mounts:
            if isinstance(mount, VolumeMount) and mount.source and not mount.nocopy:
                volumes.copy_up(mount.source, image.lowers, mount.target)

    def start(self, attach: socket.socket | None = None) -> None:
        """Start process 1; StackrError says what stood in the way, and nothing is left of it.

        `attach`, an end of a SOCK_SEQPACKET pair, gets the output from the first byte on.
        """
        with self.lock:
            if self.state.is_running:
                return
            with ExitStack() as undo:
                undo.callback(self.release)
                undo.push(self._record_failure)
                self._holds_resources = True
                started, network = launch.launch(self.engine, self.state, attach)
                undo.pop_all()
            self._record_start(started, network)

    def _record_failure(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, StackrError):
            code = error.exit_code if isinstance(error, SpawnError) else 128
            self.engine.containers.update(
                self.id, wanted="running", error=str(error), exit_code=code, finished=time.time()
            )

    def _record_start(self, started: Started, network: launch.Connection) -> None:
        self.ended.clear()
        state = self.engine.containers.update(
            self.id,
            wanted="running",
            status=Status.RUNNING,
            pid=started.pid,
            started=time.time(),
            error="",
            exit_code=0,
            endpoints=network.endpoints,
            ports=network.ports,
            health=Health.STARTING if launch.healthcheck_of(self.state) else Health.NONE,
            failing_streak=0,
        )
        self._watch(started)
        self.engine.bus.emit(ContainerStarted(self.id, state.name))

    def _watch(self, started: Started) -> None:
        self.process = started
        self.engine.exits.watch(started.pidfd, self._on_exit)

    def _on_exit(self) -> None:
        """Record the end; called in the thread that notices ends, so nothing slow is done here."""
        with self.lock:
            end = read_exit(self.folder)
            if self.process is not None:
                os.close(self.process.init_pidfd)
                self.process = None
            end_of_run = {
                "status": Status.EXITED,
                "pid": 0,
                "exit_code": end.code if end else 255,
                "oom_killed": bool(end and end.oom_killed),
                "finished": end.finished_at / 1e9 if end else time.time(),
                "health": Health.NONE,
            }
            if self.engine.restart_delay(self.state.model_copy(update=end_of_run)) is not None:
                end_of_run["status"] = Status.RESTARTING
            state = self.engine.containers.update(self.id, **end_of_run)
            self.ended.set()
        self.engine.bus.emit(ContainerDied(self.id, state.name, state.exit_code))

    def stop(self, grace: int | None = None) -> None:
        """Stop it, and remember that the user wanted that."""
        with self.lock:
            state = self.engine.containers.update(self.id, wanted="stopped")
            if state.status is Status.RESTARTING:
                self.engine.containers.update(self.id, status=Status.EXITED)
        self._end(state, grace)
        self.release()

    def restart(self, grace: int | None = None) -> None:
        """Stop it, keep its network namespace, and start it."""
        state = self.engine.containers.update(self.id, wanted="stopped")
        self._end(state, grace)
        self.release(network=False)
        self.start()

    def _end(self, state: ContainerState, grace: int | None) -> None:
        """Ask process 1 to end, make it end after the grace period, and wait for that."""
        if self.ended.is_set():
            return
        nanoseconds = state.spec.stop_grace_period if grace is None else grace
        self._signal(stop_signal(state))
        if self.ended.wait(nanoseconds / 1e9):
            return
        self.engine.cgroups.kill(self.id)
        if not self.ended.wait(KILL_TIMEOUT):
            raise StackrError(
                f"container {state.name} does not end, even by SIGKILL",
                hint="a process of it hangs in the kernel: see `ps -o pid,stat,wchan`",
            )

    def kill(self, number: int) -> None:
        """Send a signal to process 1; one that ends it also ends its restart policy."""
        state = self.state
        if not state.is_running:
            raise Conflict(f"container {state.name} is not running")
        if number in (signal.SIGKILL, stop_signal(state)):
            self.engine.containers.update(self.id, wanted="stopped")
        self._signal(number)

    def _signal(self, number: int) -> None:
        with self.lock, suppress(ProcessLookupError):  # ended by itself: whoever waits is told
            if self.process is not None:
                self.process.kill(number)

    def release(self, *, network: bool = True) -> None:
        """Give back what a running container holds in the kernel; harmless when repeated."""
        with self.lock:
            if self.state.is_running or not self._holds_resources:
                return
            self.engine.cgroups.remove(self.id)
            if network:
                launch.disconnect(self.engine, self.state)
                self._holds_resources = False

    def adopt(self) -> None:
        """Find out what became of a container that an earlier engine started."""
        with self.lock:
            running = find_running(self.folder)
            if running is not None:
                self._adopt_running(running)
                launch.reconnect(self.engine, self.state)
            elif self.state.is_running:
                self._on_exit()
            elif self.state.status is not Status.RESTARTING:
                self.release()

    def _adopt_running(self, running: Started) -> None:
        self.ended.clear()
        changes: dict[str, Any] = {"status": Status.RUNNING, "pid": running.pid}
        if not self.state.is_running:  # its start was not recorded any more
            changes |= {"wanted": "running", "started": time.time()}
            changes["endpoints"] = tuple(self.engine.networks.endpoints(self.id))
        self.engine.containers.update(self.id, **changes)
        self._watch(running)

    def execute(
        self,
        arguments: Sequence[str],
        options: ExecOptions,
        stdio: tuple[int, int, int] | None = None,
    ) -> Executed:
        """Run a command inside; without a terminal and `stdio` it has /dev/null."""
        process = self.process
        if process is None:
            raise Conflict(f"container {self.state.name} is not running")
        request = launch.exec_request(self.engine, self.state, process, arguments, options)
        return self.engine.spawner.execute(request, stdio)

    def execute_detached(self, arguments: Sequence[str], options: ExecOptions) -> None:
        """Run a command inside that nobody waits for."""
        process = self.execute(arguments, options)

        def forget() -> None:
            process.wait()
            process.close()

        threading.Thread(target=forget, daemon=True).start()

    def probe(self, arguments: Sequence[str], timeout: float) -> bool:
        """Run a command inside; tell whether it ended with 0 within `timeout` seconds."""
        process = self.execute(arguments, ExecOptions())
        try:
            poller = select.poll()
            poller.register(process.pidfd, select.POLLIN)
            return bool(poller.poll(timeout * 1000)) and process.wait() == 0
        finally:
            process.close()

    def discard(self) -> None:
        """Kill what runs and throw the folder away."""
        with self.lock:
            self.engine.containers.update(self.id, wanted="stopped")
        if not self.ended.is_set():
            self._end(self.state, 0)
        self.release()
        trash.discard(self.engine.paths, self.folder)


def stop_signal(state: ContainerState) -> int:
    """Return the number of the signal that asks this container to end."""
    name = state.spec.stop_signal or state.image.config.stop_signal or "SIGTERM"
    return signal_number(name)


def signal_number(name: str) -> int:
    """Return the number for `SIGTERM`, `TERM` or `15`; StackrError for anything else."""
    if name.isdigit() and 0 < int(name) <= 64:
        return int(name)
    upper = name.upper().removeprefix("SIG")
    if upper.startswith("RTMIN+"):
        return int(signal.SIGRTMIN) + int(upper.removeprefix("RTMIN+"))
    try:
        return int(signal.Signals[f"SIG{upper}"])
    except KeyError:
        raise StackrError(f"unknown signal {name!r}", hint="for example SIGTERM or 15") from None
