"""The parent of one container: holds its streams, writes its log, records its end.

A shim outlives the resident, so it keeps no connection to it: what others need to know is in
`pid.json` and `exit.json` of the container's folder, and its attach socket is there too.
"""

from __future__ import annotations

import _socket
import os
import select
import time

from stackr_engine.spawn import files, init, stdio, syscalls, wire
from stackr_engine.spawn.attach import Attachments
from stackr_engine.spawn.log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_CHUNK = 16 * 1024


class Shim:
    """One container from its start to its end."""

    def __init__(self, header: dict[str, Any], fds: list[int], boot: str):
        self.header = header
        self.folder: str = header["folder"]
        self.boot = boot
        self.pid = -1
        self.pidfd = -1
        self.outputs: dict[int, str] = {}
        log = header.get("log")
        self.log = Log(log["path"], log["max_size"], log["max_file"]) if log else None
        self.oom_kills = self._count_oom_kills()
        self.attached = Attachments(self.folder)
        for fd in fds:
            self.attached.add(fd)

    def start(self, request: _socket.socket) -> None:
        """Fork the first process, register it, let it go, and answer the request."""
        files.remove(self.folder, files.EXIT)
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        streams = self._streams()
        self._enter_pid_namespace()
        self.pid = os.fork()
        if self.pid == 0:
            _run_init(request, self.header, streams, theirs)
        theirs.close()
        for fd in streams:
            if fd != stdio.NONE:
                os.close(fd)
        self.pidfd = os.pidfd_open(self.pid)
        started = self._register()
        try:
            ours.send(b"g", _socket.MSG_NOSIGNAL)
        except OSError:
            pass  # it failed already: the reason is waiting to be read
        error = self._await_program(ours)
        ours.close()
        self._answer(request, started, error)

    def _enter_pid_namespace(self) -> None:
        """Make the next fork's child the first process of a PID namespace, or one of another's."""
        namespace = self.header["pid_namespace"]
        if namespace == "new":
            syscalls.unshare(syscalls.CLONE_NEWPID)
        elif namespace:
            init.join_namespace(namespace, syscalls.CLONE_NEWPID)

    def _answer(
        self, request: _socket.socket, started: dict[str, Any], error: dict[str, Any] | None
    ) -> None:
        if error is not None:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
            files.remove(self.folder, files.PID)
            wire.send(request, wire.to_json(error))
            os._exit(1)
        self.attached.listen()
        shim_pidfd = os.pidfd_open(os.getpid())
        try:
            wire.send(request, wire.to_json(started), (shim_pidfd, self.pidfd))
        except OSError:
            pass  # the resident died meanwhile: the next one finds pid.json
        os.close(shim_pidfd)
        request.close()

    def _streams(self) -> list[int]:
        """Make the pipes; return the container's ends. A terminal is made by the container."""
        if self.header.get("tty"):
            return [stdio.NONE] * 3
        stdin = stdio.NONE
        if self.header.get("stdin_open"):
            stdin, self.attached.stdin = os.pipe()
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        self.outputs = {out: "stdout", err: "stderr"}
        return [stdin, out_end, err_end]

    def _register(self) -> dict[str, Any]:
        shim = os.getpid()
        value = {
            "pid": self.pid,
            "start_time": files.start_time(self.pid),
            "shim_pid": shim,
            "shim_start_time": files.start_time(shim),
            "boot_id": self.boot,
        }
        files.write(self.folder, files.PID, value)
        return value

    def _await_program(self, sync: _socket.socket) -> dict[str, Any] | None:
        """Read until the program runs (end of file); return the error if it does not."""
        while True:
            try:
                message, fds = wire.receive(sync)
            except (EOFError, ConnectionResetError):
                return None
            if not fds:
                error: dict[str, Any] = wire.from_json(message)
                return error
            self.outputs = {fds[0]: "stdout"}
            self.attached.terminal = fds[0]
            if self.header.get("size"):
                rows, columns = self.header["size"]
                self.attached.resize(rows.to_bytes(2, "little") + columns.to_bytes(2, "little"))

    def serve(self) -> NoReturn:
        """Pass output on until the container ends, then record how it did."""
        poller = self.attached.poller
        for fd in (self.pidfd, *self.outputs):
            poller.register(fd, select.POLLIN)
        while True:
            for fd, events in poller.poll():
                if fd in self.outputs:
                    # A paused stream still reports that its other end is closed.
                    if events & select.POLLIN or not self.attached.is_behind():
                        self._pump(fd)
                elif fd == self.pidfd:
                    self._end()
                else:
                    self.attached.handle(fd, self.outputs)

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
        if self.log is not None:
            self.log.write(stream, data)
        self.attached.broadcast(stream, data, self.outputs)
        return True

    def _end(self) -> NoReturn:
        """Take the status and the last output, record both, and go."""
        _, status = os.waitpid(self.pid, 0)
        finished = time.time_ns()
        code = os.waitstatus_to_exitcode(status)
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
            "oom_killed": self._count_oom_kills() > self.oom_kills,
        }
        try:
            files.write(self.folder, files.EXIT, value)
            self.attached.finish()
        finally:
            os._exit(0)

    def _count_oom_kills(self) -> int:
        """Read the cgroup's count of processes killed for want of memory."""
        if not self.header.get("oom_file"):
            return 0
        try:
            text = files.read_bytes(self.header["oom_file"])
        except OSError:
            return 0
        lines = text.splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith(b"oom_kill "))


def _run_init(
    request: _socket.socket, header: dict[str, Any], streams: list[int], sync: _socket.socket
) -> NoReturn:
    """Read the rest of the request, which only the first process needs, and run it."""
    try:
        body = wire.from_json(wire.receive(request)[0])
        body["seccomp"] = wire.receive(request)[0]
        init.run(header | body, streams, sync)
    finally:
        os._exit(1)


def run(request: _socket.socket, header: dict[str, Any], fds: list[int], boot: str) -> NoReturn:
    """Be a shim."""
    syscalls.set_name("stackr-shim")
    shim = Shim(header, fds, boot)
    shim.start(request)
    shim.serve()
