"""What the resident asks the spawner for, and what it gets."""

import os
import select
import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stackr_engine.spawn import files, wire


@dataclass(frozen=True)
class Overlay:
    """The layers of a container's root: lowers uppermost first."""

    lowers: tuple[str, ...]
    upper: str
    work: str


@dataclass(frozen=True)
class LogFile:
    """Where output is recorded; `max_size` in bytes, 0: no rotation."""

    path: str
    max_size: int = 0
    max_file: int = 1


@dataclass(frozen=True)
class Seccomp:
    """A compiled filter (an array of `struct sock_filter`) and the flags of seccomp(2)."""

    program: bytes = b""
    flags: int = 0


@dataclass(frozen=True)
class StartRequest:
    """One container to start: an OCI runtime-spec config and what such a config cannot say.

    `user` and `groups` are looked up in the container's own files; without `user` the config's
    numbers hold. `oom_file` is the cgroup file whose `oom_kill` line counts.
    """

    id: str
    folder: Path
    config: dict[str, Any]
    overlay: Overlay | None = None
    user: str | None = None
    groups: tuple[str, ...] = ()
    log: LogFile | None = None
    init: bool = False
    stdin_open: bool = False
    size: tuple[int, int] | None = None
    """The terminal's rows and columns."""
    cgroup_procs: tuple[str, ...] = ()
    oom_file: str = ""
    seccomp: Seccomp = field(default_factory=Seccomp)

    @property
    def tty(self) -> bool:
        """Whether the container gets a terminal."""
        return bool(self.config["process"].get("terminal"))

    def header(self, fds: list[str]) -> bytes:
        """What the shim needs to know; `fds` names the descriptors that travel along."""
        log = self.log and {
            "path": self.log.path,
            "max_size": self.log.max_size,
            "max_file": self.log.max_file,
        }
        namespaces = self.config.get("linux", {}).get("namespaces", [])
        pid = next((item for item in namespaces if item["type"] == "pid"), None)
        value = {
            "op": "start",
            "fds": fds,
            "id": self.id,
            "folder": str(self.folder),
            "size": self.size,
            "stdin_open": self.stdin_open,
            "log": log,
            "oom_file": self.oom_file,
            "oom_kills": files.oom_kills(self.oom_file),
            "pid_namespace": "" if pid is None else pid.get("path", "new"),
        }
        return wire.to_json(value)

    def body(self) -> bytes:
        """What only the first process needs to know."""
        overlay = self.overlay and {
            "lowers": list(self.overlay.lowers),
            "upper": self.overlay.upper,
            "work": self.overlay.work,
        }
        linux = self.config.get("linux", {})
        # The filter travels compiled; as an object it would only cost time.
        slim = {name: value for name, value in linux.items() if name != "seccomp"}
        value = {
            "config": self.config | {"linux": slim},
            "overlay": overlay,
            "user": self.user,
            "groups": list(self.groups),
            "init": self.init,
            "cgroup_procs": list(self.cgroup_procs),
            "seccomp_flags": self.seccomp.flags,
        }
        return wire.to_json(value)


@dataclass(frozen=True)
class ExecRequest:
    """One more process in a running container; `process` is an OCI process object."""

    id: str
    pid: int
    start_time: int
    process: dict[str, Any]
    user: str | None = None
    groups: tuple[str, ...] = ()
    cgroup_procs: tuple[str, ...] = ()
    seccomp: Seccomp = field(default_factory=Seccomp)

    @property
    def tty(self) -> bool:
        """Whether the program gets a terminal."""
        return bool(self.process.get("terminal"))

    def header(self, fds: list[str]) -> bytes:
        """What the runner needs to know; `fds` names the descriptors that travel along."""
        value = {
            "op": "exec",
            "fds": fds,
            "id": self.id,
            "pid": self.pid,
            "start_time": self.start_time,
            "tty": self.tty,
            "cgroup_procs": list(self.cgroup_procs),
            "oom_score_adj": self.process.get("oomScoreAdj", 0),
        }
        return wire.to_json(value)

    def body(self) -> bytes:
        """What only the program's process needs to know."""
        value = {
            "process": self.process,
            "user": self.user,
            "groups": list(self.groups),
            "seccomp_flags": self.seccomp.flags,
        }
        return wire.to_json(value)


@dataclass(frozen=True)
class Started:
    """A running container: its first process and its shim, each with its pidfd.

    `pidfd` is the shim's: it becomes readable once the exit status is on disk.
    """

    pid: int
    start_time: int
    shim_pid: int
    shim_start_time: int
    pidfd: int
    init_pidfd: int

    def kill(self, number: int) -> None:
        """Send a signal to the first process; raise ProcessLookupError if it has ended."""
        signal.pidfd_send_signal(self.init_pidfd, number)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end, at most `timeout` seconds; tell whether it came."""
        return _readable(self.pidfd, timeout)

    def close(self) -> None:
        """Close the descriptors; the container runs on."""
        os.close(self.pidfd)
        os.close(self.init_pidfd)


@dataclass(frozen=True)
class Service:
    """A running service process of the engine."""

    pid: int
    start_time: int
    pidfd: int


class Executed:
    """A running exec. Closing it before its end kills what it started."""

    def __init__(self, request: socket.socket, pid: int, pidfd: int, master: int | None):
        self._request = request
        self._code: int | None = None
        self.pid = pid
        self.pidfd = pidfd
        self.master = master
        """The terminal's controlling end, with `tty`."""

    def wait(self) -> int:
        """Wait for the end and return the exit code, 128 + signal where it was killed."""
        if self._code is None:
            try:
                self._code = int(wire.from_json(wire.receive(self._request)[0])["code"])
            except (EOFError, OSError):
                self._code = 128 + signal.SIGKILL
        return self._code

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the program, if it still runs."""
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            return

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size."""
        if self.master is not None:
            resize(self.master, rows, columns)

    def close(self) -> None:
        """Let go: what still runs is killed."""
        self._request.close()
        os.close(self.pidfd)
        if self.master is not None:
            os.close(self.master)


def resize(terminal: int, rows: int, columns: int) -> None:
    """Set a terminal's size."""
    import termios

    termios.tcsetwinsize(terminal, (rows, columns))


def _readable(fd: int, timeout: float | None) -> bool:
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(None if timeout is None else timeout * 1000))
