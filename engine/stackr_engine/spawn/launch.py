"""The resident's part of one start: it makes what the shim holds, and registers what it forked."""

import os
import socket
import struct
from functools import cache
from typing import Any, Self

from stackr_engine.spawn import files, wire
from stackr_engine.spawn.request import Overlay, Started, StartRequest

_UCRED = struct.Struct("iII")
_boot_id = cache(files.boot_id)


class Launch:
    """The descriptors of one start; as a context it closes the resident's copies at the end.

    `fds` names what the shim gets: its ends (`stdout`) and the container's (`stdout_end`).
    """

    def __init__(self, request: StartRequest):
        self.request = request
        self.fds: dict[str, int] = {}
        self._boot = _boot_id()
        self._sync: socket.socket | None = None

    def __enter__(self) -> Self:
        folder = str(self.request.folder)
        for name in (files.EXIT, files.PID, files.ATTACH):
            files.remove(folder, name)
        try:
            _make_folders(self.request)
            _make_log(self.request)
            self._open(folder)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _open(self, folder: str) -> None:
        self._sync, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sync.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.fds["sync"] = theirs.detach()
        self.fds["listener"] = _listener(folder)
        if self.request.tty:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            self.fds |= {"terminal": ours.detach(), "terminal_end": theirs.detach()}
            return
        for name in ("stdout", "stderr"):
            self.fds[name], self.fds[f"{name}_end"] = os.pipe()
        if self.request.stdin_open:
            self.fds["stdin_end"], self.fds["stdin"] = os.pipe()

    def __exit__(self, *_: object) -> None:
        for fd in self.fds.values():
            os.close(fd)
        if self._sync is not None:
            self._sync.close()

    def register(self) -> Started | None:
        """Hear from the first process who it is, and write that down before its program may run.

        None: it was not even forked.
        """
        assert self._sync is not None
        os.close(self.fds.pop("sync"))
        said, ancillary, _, _ = self._sync.recvmsg(1, socket.CMSG_SPACE(_UCRED.size))
        if not said:  # the end of file has credentials too: nobody's
            return None
        try:
            return self._write_down(int(_UCRED.unpack(ancillary[0][2])[0]))
        except (FileNotFoundError, ProcessLookupError):
            return None  # killed, as for want of memory

    def _write_down(self, pid: int) -> Started:
        pidfd = os.pidfd_open(pid)
        _, shim, start_time = files.identity(pid)
        shim_pidfd = os.pidfd_open(shim)
        name, _, shim_start_time = files.identity(shim)
        if name != "stackr-shim":  # it died, and somebody inherited its child
            raise ProcessLookupError(shim)
        value = {
            "pid": pid,
            "start_time": start_time,
            "shim_pid": shim,
            "shim_start_time": shim_start_time,
        }
        files.write(str(self.request.folder), files.PID, value | {"boot_id": self._boot})
        return Started(**value, pidfd=shim_pidfd, init_pidfd=pidfd)

    def go(self) -> dict[str, Any] | None:
        """Let the program run; return the error if it does not."""
        assert self._sync is not None
        try:
            self._sync.send(b"g", socket.MSG_NOSIGNAL)
        except OSError:
            pass  # it failed already: the reason is waiting
        try:
            error: dict[str, Any] = wire.from_json(wire.receive(self._sync)[0])["error"]
        except (EOFError, ConnectionResetError):
            return None
        return error


def _listener(folder: str) -> int:
    """Open the attach socket; its path goes by descriptor, as an address holds 107 bytes only."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    place = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    try:
        path = f"/proc/self/fd/{place}/{files.ATTACH}"
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(16)
        listener.setblocking(False)
    finally:
        os.close(place)
    return listener.detach()


def _make_folders(request: StartRequest) -> None:
    """Make the folders of the root; the uppermost layer's own attributes are those of "/"."""
    if request.overlay is None:
        return
    os.makedirs(request.config["root"]["path"], mode=0o700, exist_ok=True)
    make_layers(request.overlay)


def make_layers(overlay: Overlay) -> None:
    """Make the writable folders of an overlay, if they are missing."""
    os.makedirs(overlay.work, mode=0o700, exist_ok=True)
    try:
        os.mkdir(overlay.upper)
    except FileExistsError:
        return
    below = os.stat(overlay.lowers[0])
    os.chown(overlay.upper, below.st_uid, below.st_gid)
    os.chmod(overlay.upper, below.st_mode & 0o7777)


def _make_log(request: StartRequest) -> None:
    """Create the log before anyone looks for it; the shim opens it when there is output."""
    if request.log is not None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        os.close(os.open(request.log.path, flags, 0o640))
