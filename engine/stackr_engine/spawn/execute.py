"""`exec`: one more process in a running container.

resident                     runner (host)                    program (container)
request, streams ──────────▶ joins the namespaces, forks ───▶ steps, execve
pidfd, terminal  ◀────────── the program runs
closes the socket ─────────▶ kills what it started
{"code": …}      ◀────────── it ended
"""

from __future__ import annotations

import _socket
import os
import select
import stat

from stackr_engine.spawn import (
    cgroups,
    devices,
    files,
    identity,
    process,
    stdio,
    steps,
    syscalls,
    wire,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from stackr_engine.spawn.steps import Step

_ALL = (
    syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWPID
    | syscalls.CLONE_NEWNET
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWUTS
    | syscalls.CLONE_NEWCGROUP
)


class Gone(OSError):
    """The container's first process is not the one that the request names."""


class Runner:
    """The process on the host's side of one exec."""

    def __init__(self, header: dict[str, Any], fds: dict[str, int]):
        self.header = header
        self.name = "stackr-exec"
        self.streams = list(fds.values())

    def run(self, fd: int) -> NoReturn:
        """Start the program and stay until it ends or the asker goes away."""
        request = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, os.dup(fd))
        self._refuse_folders()
        host_proc = os.open("/proc", os.O_PATH | os.O_CLOEXEC)
        procs = [os.open(file, os.O_WRONLY | os.O_CLOEXEC) for file in self.header["cgroup_procs"]]
        process.set_oom_score(self.header["oom_score_adj"])
        _join(self.header["pid"], self.header["start_time"])
        os.chdir("/")
        master, streams = _terminal(self.header, self.streams)
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        pid = os.fork()
        if pid == 0:
            os.close(host_proc)
            _run_program(request, self.header, streams, theirs, procs)
        theirs.close()
        for each in {*streams, *procs} - {stdio.NONE}:
            os.close(each)
        pidfd = os.pidfd_open(pid)
        error = _await_program(ours)
        if error is not None:
            os.waitpid(pid, 0)  # else it stays a zombie in the container
            wire.send(request, wire.to_json(error))
            os._exit(0)
        wire.send(request, wire.to_json({"pid": pid}), (pidfd, *master))
        for each in master:
            os.close(each)
        _wait(request, pid, pidfd, host_proc)

    def _refuse_folders(self) -> None:
        """A folder of the host as a standard stream would be a way out of the container."""
        for fd in self.streams:
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                raise OSError(21, "a folder of the host as a standard stream")


def _join(pid: int, start_time: int) -> None:
    """Join the container of a first process; its pid with its start time is no other's."""
    try:
        pidfd = os.pidfd_open(pid)
        if files.start_time(pid) != start_time:
            raise ProcessLookupError
        syscalls.setns(pidfd, _ALL)
    except (ProcessLookupError, FileNotFoundError):
        raise Gone(3, "the container is not running") from None
    os.close(pidfd)


def _terminal(header: dict[str, Any], streams: list[int]) -> tuple[list[int], list[int]]:
    if not header["tty"]:
        return [], streams or [stdio.NONE] * 3
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    master, slave = devices.open_terminal(root)
    os.close(root)
    return [master], [slave] * 3


def _await_program(sync: _socket.socket) -> dict[str, Any] | None:
    try:
        error: dict[str, Any] = wire.from_json(wire.receive(sync)[0])
    except (EOFError, ConnectionResetError):
        return None
    return error


def _run_program(
    request: _socket.socket,
    header: dict[str, Any],
    streams: list[int],
    sync: _socket.socket,
    procs: list[int],
) -> NoReturn:
    try:
        body = header | wire.from_json(wire.receive(request)[0])
        body["seccomp"] = wire.receive(request)[0]
        process.restore_signals()
        program = Program(body, streams, procs)
        steps.run_steps(program.steps())
        env = identity.with_home(program.process.get("env", []), program.user)
        syscalls.close_range(3, (1 << 32) - 1, syscalls.CLOSE_RANGE_CLOEXEC)
        process.execute(program.process["args"], env)
    except Exception as error:
        wire.send(sync, wire.to_json({"error": steps.describe(error)}))
    finally:
        os._exit(1)


class Program:
    """What the steps of an exec share."""

    def __init__(self, request: dict[str, Any], streams: list[int], procs: list[int]):
        self.request = request
        self.process: dict[str, Any] = request["process"]
        self.streams = streams
        self.procs = procs

    def steps(self) -> list[Step]:
        """Everything that is done before the program runs, in order."""
        return [
            ("join control groups", self.join_cgroups),
            ("find the user", self.find_user),
            ("set limits", self.set_limits),
            ("enter the working folder", self.enter_cwd),
            ("drop privileges", self.drop_privileges),
        ]

    def join_cgroups(self) -> None:
        """Move into the groups; their files were opened before the host was left."""
        cgroups.join_open(self.procs)
        syscalls.join_session_keyring(self.request["id"])

    def find_user(self) -> None:
        """Look the user up and give it its streams."""
        root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.user = identity.find_user(root, self.process, self.request)
        if not self.request["tty"]:
            self.streams = stdio.inside(self.streams, self.user)

    def set_limits(self) -> None:
        """Set resource limits."""
        process.set_rlimits(self.process.get("rlimits", []))

    def enter_cwd(self) -> None:
        """Enter the working folder."""
        identity.enter_cwd(self.process["cwd"])

    def drop_privileges(self) -> None:
        """Become the user, with the container's filter; no step can follow."""
        stdio.install(self.streams, self.request["tty"])
        identity.drop_privileges(self.user, self.process, self.request)


def _wait(request: _socket.socket, pid: int, pidfd: int, host_proc: int) -> NoReturn:
    """Report the program's end, or bring it about when the asker goes away."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    poller.register(request.fileno(), select.POLLIN)
    while True:
        ready = [fd for fd, _ in poller.poll()]
        if pidfd in ready:
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            wire.send(request, wire.to_json({"code": code if code >= 0 else 128 - code}))
            os._exit(0)
        if not request.recv(64):
            kill_tree(pid, host_proc)
            os.waitpid(pid, 0)
            os._exit(0)


def kill_tree(pid: int, proc: int) -> None:
    """Kill a session leader, its group and its descendants; `proc` is the host's /proc.

    Each is stopped before its children are read, so that none is born behind our back.
    """
    found = [pid]
    for parent in found:
        _signal_if_there(parent, 19)
        found += _children(parent, proc)
    try:
        os.killpg(pid, 9)
    except ProcessLookupError:
        pass
    for each in found:
        _signal_if_there(each, 9)


def _signal_if_there(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _children(pid: int, proc: int) -> list[int]:
    try:
        tasks = os.open(f"{pid}/task", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=proc)
    except OSError:
        return []
    found: list[int] = []
    for task in os.listdir(tasks):
        try:
            fd = os.open(f"{task}/children", os.O_RDONLY | os.O_CLOEXEC, dir_fd=tasks)
        except OSError:
            continue
        found += [int(word) for word in os.read(fd, 1 << 16).split()]
        os.close(fd)
    os.close(tasks)
    return found
