"""The resident's side of the spawner."""

import os
import socket
import threading
from pathlib import Path
from typing import Any

from stackr_schemas.errors import StackrError

from stackr_engine.paths import Paths
from stackr_engine.spawn import files, wire
from stackr_engine.spawn.launch import Launch
from stackr_engine.spawn.request import ExecRequest, Executed, Service, Started, StartRequest

_PROGRAM = str(Path(__file__).parent / "__main__.py")


class SpawnError(StackrError):
    """A container or an exec could not be started.

    `errno` is the kernel's, or 0; `exit_code` is what Docker would report: 127 for a command that
    is not there, 126 for one that cannot be executed, 125 for all else.
    """

    def __init__(self, message: str, number: int = 0, exit_code: int = 125):
        super().__init__(message)
        self.errno = number
        self.exit_code = exit_code


class Spawner:
    """A connection to the spawner; safe to use from many threads at once."""

    def __init__(self, paths: Paths):
        self._run = paths.run
        self._lock = threading.Lock()
        self._requests = self._launch()

    @classmethod
    def fork(cls, paths: Paths) -> "Spawner":
        """Start the spawner; it gets ready while the resident imports the rest."""
        return cls(paths)

    def _launch(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # The kernel's path of the running interpreter, not a link of a virtual environment.
        executable = os.path.realpath(f"/proc/{os.getpid()}/exe")
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        log = os.open(
            self._run / "spawner.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        fd = theirs.fileno()
        # Without docstrings the objects lie closer: 90 KB less in every shim. Compiled so, modules
        # are cached in the run folder, not beside files that a package manager owns.
        options = ["-I", "-S", "-OO", "-X", "utf8", "-X", f"pycache_prefix={self._run}/pycache"]
        arguments = [executable, *options, _PROGRAM, str(self._run), str(fd), "seal"]
        # Duplicating the socket onto itself is what takes its close-on-exec flag away.
        actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1)]
        actions += [(os.POSIX_SPAWN_DUP2, log, 2), (os.POSIX_SPAWN_DUP2, fd, fd)]
        try:
            self._pid = os.posix_spawn(executable, arguments, _environment(), file_actions=actions)
        finally:
            os.close(null)
            os.close(log)
            theirs.close()
        return ours

    def start(self, request: StartRequest, attach: socket.socket | None = None) -> Started:
        """Start a container; `attach`, an end of a SOCK_SEQPACKET pair, gets its first output on.

        Raise SpawnError, which names the step that failed.
        """
        with Launch(request) as launch:
            fds = launch.fds if attach is None else launch.fds | {"attach": attach.fileno()}
            sock = self._ask(request.header(list(fds)), tuple(fds.values()))
            with sock:
                _send_rest(sock, request.body(), request.seccomp.program)
                started = launch.register()
                if started is None:
                    raise self._refusal(sock)
            error = launch.go()
        if error is not None:
            _forget(request, started)
            raise _spawn_error(error)
        return started

    def execute(self, request: ExecRequest, stdio: tuple[int, int, int] | None = None) -> Executed:
        """Run one more process in a container; without `stdio` it reads and writes /dev/null.

        With a terminal (`process.terminal`) `stdio` is not used: see `Executed.master`.
        Raise SpawnError.
        """
        streams = () if stdio is None or request.tty else stdio
        sock = self._ask(request.header(["stdin", "stdout", "stderr"][: len(streams)]), streams)
        try:
            _send_rest(sock, request.body(), request.seccomp.program)
            answer, fds = self._answer(sock)
        except BaseException:
            sock.close()
            raise
        return Executed(sock, answer["pid"], fds[0], fds[1] if len(fds) > 1 else None)

    def service(
        self, name: str, module: str, fds: tuple[int, ...], arguments: dict[str, Any]
    ) -> Service:
        """Start a process that calls `main(fds, arguments)` of a standard library only module.

        It outlives the resident and the spawner. Raise SpawnError.
        """
        value = {"op": "service", "name": name, "module": module, "arguments": arguments}
        header = wire.to_json(value | {"fds": [str(index) for index in range(len(fds))]})
        with self._ask(header, fds) as sock:
            answer, pidfds = self._answer(sock)
        return Service(**answer, pidfd=pidfds[0])

    def _ask(self, header: bytes, fds: tuple[int, ...]) -> socket.socket:
        """Send a request's header; return the socket where it is answered."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self._hand_over(header, [theirs.fileno(), *fds])
        return ours

    def _hand_over(self, header: bytes, fds: list[int]) -> None:
        """Pass a request on; start the spawner again if it was killed."""
        requests = self._requests
        try:
            socket.send_fds(requests, [header], fds, socket.MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionResetError):
            with self._lock:
                if self._requests is requests:
                    self._reap()
                    requests.close()
                    self._requests = self._launch()
            socket.send_fds(self._requests, [header], fds, socket.MSG_NOSIGNAL)

    def _answer(self, sock: socket.socket) -> tuple[dict[str, Any], list[int]]:
        try:
            text, fds = wire.receive(sock)
        except (EOFError, OSError):
            raise SpawnError(f"the spawner gave no answer: see {self._run}/spawner.log") from None
        answer = wire.from_json(text)
        if "error" in answer:
            raise _spawn_error(answer["error"])
        return answer, fds

    def _refusal(self, sock: socket.socket) -> SpawnError:
        try:
            self._answer(sock)
        except SpawnError as error:
            return error
        return SpawnError("the container's first process ended before it said who it is")

    def _reap(self) -> None:
        try:
            os.waitpid(self._pid, 0)
        except ChildProcessError:
            return

    def close(self) -> None:
        """Let the spawner end; what it started runs on."""
        self._requests.close()
        self._reap()


def _spawn_error(error: dict[str, Any]) -> SpawnError:
    return SpawnError(error["message"], error["errno"], error["exit_code"])


def _send_rest(sock: socket.socket, *frames: bytes) -> None:
    try:
        for frame in frames:
            wire.send(sock, frame)
    except OSError:
        return  # refused before all was read: the reason is waiting


def _forget(request: StartRequest, started: Started) -> None:
    """Wait until the shim of a container that did not start is gone; take its traces away."""
    started.wait()
    started.close()
    for name in (files.PID, files.EXIT):
        files.remove(str(request.folder), name)


def _environment() -> dict[str, str]:
    """Nothing of the resident's environment but what its interpreter may need to be found."""
    found = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    # Else each fork would look up again, and write down in pages of its own, what it calls in C.
    return found | {"LD_BIND_NOW": "1"}
