"""The resident's side of the spawner."""

import os
import socket
import threading
from pathlib import Path
from typing import Any

from stackr_schemas.errors import StackrError

from stackr_engine.paths import Paths
from stackr_engine.spawn import wire
from stackr_engine.spawn.request import ExecRequest, Executed, Service, Started, StartRequest

_PROGRAM = str(Path(__file__).parent / "__main__.py")
_NOTHING = (-1, -1, -1)


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
        options = ["-I", "-S", "-B", "-X", "utf8"]
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
        frames = (request.header(), request.body(), request.seccomp.program)
        with self._ask(frames, () if attach is None else (attach.fileno(),)) as sock:
            answer, fds = self._answer(sock)
        answer.pop("boot_id")
        return Started(**answer, pidfd=fds[0], init_pidfd=fds[1])

    def execute(self, request: ExecRequest, stdio: tuple[int, int, int] | None = None) -> Executed:
        """Run one more process in a container; without `stdio` it reads and writes /dev/null.

        With a terminal (`process.terminal`) `stdio` is not used: see `Executed.master`.
        Raise SpawnError.
        """
        streams = () if stdio is None or request.process.get("terminal") else stdio
        frames = (request.header(), request.body(), request.seccomp.program)
        sock = self._ask(frames, streams)
        try:
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
        header = {"op": "service", "name": name, "module": module, "arguments": arguments}
        with self._ask((wire.to_json(header),), fds) as sock:
            answer, pidfds = self._answer(sock)
        return Service(**answer, pidfd=pidfds[0])

    def _ask(self, frames: tuple[bytes, ...], fds: tuple[int, ...]) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self._hand_over(theirs)
        try:
            wire.send(ours, frames[0], fds)
            for frame in frames[1:]:
                wire.send(ours, frame)
        except OSError:
            pass  # refused before all was read: the reason is waiting
        return ours

    def _hand_over(self, request: socket.socket) -> None:
        """Pass the far end of a request on; start the spawner again if it was killed."""
        requests = self._requests
        try:
            socket.send_fds(requests, [b"r"], [request.fileno()], socket.MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionResetError):
            with self._lock:
                if self._requests is requests:
                    self._reap()
                    requests.close()
                    self._requests = self._launch()
            socket.send_fds(self._requests, [b"r"], [request.fileno()], socket.MSG_NOSIGNAL)

    def _answer(self, sock: socket.socket) -> tuple[dict[str, Any], list[int]]:
        try:
            text, fds = wire.receive(sock)
        except (EOFError, OSError):
            raise SpawnError(f"the spawner gave no answer: see {self._run}/spawner.log") from None
        answer = wire.from_json(text)
        if "error" in answer:
            error = answer["error"]
            raise SpawnError(error["message"], error["errno"], error["exit_code"])
        return answer, fds

    def _reap(self) -> None:
        try:
            os.waitpid(self._pid, 0)
        except ChildProcessError:
            return

    def close(self) -> None:
        """Let the spawner end; what it started runs on."""
        self._requests.close()
        self._reap()


def _environment() -> dict[str, str]:
    """Nothing of the resident's environment but what its interpreter may need to be found."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
