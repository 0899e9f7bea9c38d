"""The parent of one container: holds its streams, writes its log, records its end.

    resident                          shim                        first process
    pipes, sockets, request ────────▶ unshare(pid) + fork ──────▶ reads the request's body
    "h" (with its pid) ◀────────────  passes output on ────────── steps
    writes pid.json
    "go" ───────────────────────────────────────────────────────▶ execve
    end of file, or the error ◀──────────────────────────────────

A shim outlives the resident: what others need to know is in `exit.json` of the container's
folder, and its attach socket is there too. There is one for each container, and each page that it
touches is memory of its own, so whatever the resident can do is done there.
"""

from __future__ import annotations

import _socket
import os
import select
import time

from stackr_engine.spawn import files, init, syscalls, wire
from stackr_engine.spawn.attach import Attachments
from stackr_engine.spawn.log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_CHUNK = 16 * 1024
_GATHER = 50
"""Milliseconds in which the lines of a container that writes all the time gather."""
_SOON = 0.1
"""Seconds: output that comes sooner than this after the last is written all the time."""
_CONTAINERS_ENDS = ("stdin_end", "stdout_end", "stderr_end", "sync", "terminal_end")


class Shim:
    """One container from its start to its end."""

    __slots__ = (
        "attached",
        "fds",
        "header",
        "is_chatty",
        "last_output",
        "log",
        "name",
        "outputs",
        "pid",
        "pidfd",
        "terminal",
    )

    def __init__(self, header: dict[str, Any], fds: dict[str, int]):
        self.header = header
        self.fds = fds
        self.name = "stackr-shim"
        self.pid = self.pidfd = -1
        self.is_chatty = False
        self.last_output = 0.0
        self.terminal = fds.get("terminal", -1)
        self.outputs = {fds[name]: name for name in ("stdout", "stderr") if name in fds}
        self.log = Log(**header["log"]) if header["log"] else None
        self.attached = Attachments(fds["listener"], fds.get("stdin", -1), self.terminal >= 0)
        self.attached.takes_input = header["stdin_open"]

    def run(self, request: int) -> NoReturn:
        """Fork the first process and be its shim."""
        namespace = self.header["pid_namespace"]
        if namespace == "new":
            syscalls.unshare(syscalls.CLONE_NEWPID)
        elif namespace:
            init.join_namespace(namespace, syscalls.CLONE_NEWPID)
        self.pid = os.fork()
        if self.pid == 0:
            init.main(request, self.header, self.fds)
        self.pidfd = os.pidfd_open(self.pid)
        os.close(request)
        for name in _CONTAINERS_ENDS:
            if name in self.fds:
                os.close(self.fds[name])
        if "attach" in self.fds:
            self.attached.add(self.fds["attach"])
        self.serve()

    def serve(self) -> NoReturn:
        """Pass output on until the container ends, then record how it did."""
        poller = self.attached.poller
        for fd in (self.pidfd, self.terminal, *self.outputs):
            if fd >= 0:
                poller.register(fd, select.POLLIN)
        rare = select.poll()
        for fd in (self.pidfd, self.attached.listener):
            rare.register(fd, select.POLLIN)
        while True:
            for fd, events in poller.poll():
                self._handle(fd, events)
            if self.is_chatty:
                # Waking for each line costs more than writing it: let some gather.
                rare.poll(_GATHER)

    def _handle(self, fd: int, events: int) -> None:
        if fd in self.outputs:
            # A paused stream still reports that its other end is closed.
            if events & select.POLLIN or not self.attached.is_behind():
                self._pump(fd)
        elif fd == self.pidfd:
            self._end()
        elif fd == self.terminal:
            self._take_terminal()
        else:
            self.attached.handle(fd, self.outputs)

    def _take_terminal(self) -> None:
        """Receive the terminal that the first process opened."""
        self.attached.poller.unregister(self.terminal)
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, self.terminal)
        self.terminal = -1
        try:
            master = wire.receive(sock)[1][0]
        except (EOFError, OSError):
            return
        finally:
            sock.close()
        self.outputs[master] = "stdout"
        self.attached.poller.register(master, select.POLLIN)
        self.attached.set_terminal(master)
        if self.header["size"]:
            rows, columns = self.header["size"]
            self.attached.resize(rows.to_bytes(2, "little") + columns.to_bytes(2, "little"))

    def _pump(self, fd: int) -> bool:
        """Pass one chunk on; return False at the stream's end."""
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # a terminal whose last user closed it
            data = b""
        stream = self.outputs[fd]
        if not data:
            self.attached.poller.unregister(fd)
            del self.outputs[fd]
            if fd != self.attached.terminal:
                os.close(fd)
            return False
        before, self.last_output = self.last_output, time.monotonic()
        is_trickle = len(data) < _CHUNK // 4 and self.last_output - before < _SOON
        self.is_chatty = is_trickle and not self.attached.clients
        if self.log is not None:
            self.log.write(stream, data)
        self.attached.broadcast(stream, data, self.outputs)
        return True

    def _end(self) -> NoReturn:
        """Take the status and the last output, record both, and go."""
        _, status = os.waitpid(self.pid, 0)
        finished = time.time_ns()
        code = os.waitstatus_to_exitcode(status)
        if self.terminal >= 0:
            self._take_terminal()
        for fd in list(self.outputs):
            os.set_blocking(fd, False)
            while self._pump(fd):
                pass
        if self.log is not None:
            self.log.finish()
        value = {
            "code": code if code >= 0 else 128 - code,
            "signal": max(0, -code),
            "finished_at": finished,
            "oom_killed": files.oom_kills(self.header["oom_file"]) > self.header["oom_kills"],
        }
        folder = self.header["folder"]
        try:
            files.write(folder, files.EXIT, value)
            files.remove(folder, files.ATTACH)
            self.attached.finish()
        finally:
            os._exit(0)
