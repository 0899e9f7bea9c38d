"""The shim's side of `attach`: output to those who listen, input from them.

A connection is a SOCK_SEQPACKET socket. From the shim: first b"\\0" with the descriptor to write
input to (the terminal, or the stdin pipe's end, where stdin is open), then b"\\1" or b"\\2" and
output. To the shim: b"c" closes stdin, b"w" and rows and columns (16 bits each, little-endian)
resizes the terminal. A client that does not read holds up the container's output, as a pipe does.
"""

from __future__ import annotations

import _socket
import os
import select
from fcntl import ioctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

HELLO = b"\0"
STREAMS = {"stdout": b"\1", "stderr": b"\2"}
CLOSE_STDIN = b"c"
RESIZE = b"w"
_NOW = _socket.MSG_NOSIGNAL | _socket.MSG_DONTWAIT
_LAST_WORDS = 2.0
"""Seconds that the last output waits for a client after the container's end."""


class Client:
    """One connection, and what it was not ready to take."""

    __slots__ = ("pending", "sock")

    def __init__(self, fd: int):
        self.sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, fd)
        self.pending: list[bytes] = []


class Attachments:
    """All connections of one container, its input, and the socket where more arrive.

    `awaits_terminal`: those who come before the terminal is there are greeted when it is.
    """

    def __init__(self, listener: int, stdin: int, awaits_terminal: bool):
        self.stdin = stdin
        self.terminal = -1
        self.awaits_terminal = awaits_terminal
        self.takes_input = True
        self.listener = listener
        self.clients: dict[int, Client] = {}
        self.poller = select.poll()
        self.poller.register(listener, select.POLLIN)

    def add(self, fd: int) -> None:
        """Take over a connected socket."""
        self.clients[fd] = Client(fd)
        self.poller.register(fd, select.POLLIN)
        if not self.awaits_terminal:
            self._greet(self.clients[fd])

    def set_terminal(self, fd: int) -> None:
        """Take the terminal and greet those who waited for it."""
        self.terminal = fd
        self.awaits_terminal = False
        for client in list(self.clients.values()):
            self._greet(client)

    def _greet(self, client: Client) -> None:
        fd = self.terminal if self.terminal >= 0 else self.stdin
        rights = []
        if fd >= 0 and self.takes_input:
            rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(4, "little"))]
        try:
            client.sock.sendmsg([HELLO], rights, _NOW)
        except OSError:
            self._drop(client)

    def handle(self, fd: int, outputs: Iterable[int]) -> None:
        """Answer an event of one of our descriptors; others are ignored."""
        if fd == self.listener:
            self._accept()
        elif fd in self.clients:
            client = self.clients[fd]
            was_behind = bool(client.pending)
            self._flush(client)
            if fd in self.clients:
                self._listen_to(client)
            if was_behind and not self.is_behind():
                self._resume(outputs)

    def _accept(self) -> None:
        family, kind = _socket.AF_UNIX, _socket.SOCK_SEQPACKET
        listener = _socket.socket(family, kind, 0, os.dup(self.listener))
        try:
            self.add(listener._accept()[0])  # type: ignore[attr-defined]
        except OSError:
            return  # the client is gone again
        finally:
            listener.close()

    def _listen_to(self, client: Client) -> None:
        try:
            message = client.sock.recv(64, _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._drop(client)
        elif message == CLOSE_STDIN:
            self.close_stdin()
        elif message[:1] == RESIZE and len(message) == 5:
            self.resize(message[1:])

    def close_stdin(self) -> None:
        """Close our end of the stdin pipe: with the clients' copies gone too, it ends."""
        if self.stdin >= 0:
            os.close(self.stdin)
        self.stdin = -1

    def resize(self, size: bytes) -> None:
        """Set the terminal's size; rows and columns as 16-bit numbers."""
        if self.terminal >= 0:
            ioctl(self.terminal, 0x5414, size + b"\0\0\0\0")  # TIOCSWINSZ

    def broadcast(self, stream: str, data: bytes, outputs: Iterable[int]) -> None:
        """Send output to everyone; stop reading more of it while someone is not ready."""
        for client in list(self.clients.values()):
            client.pending.append(STREAMS[stream] + data)
            if len(client.pending) == 1:
                self._flush(client)
            if client.pending:
                self._pause(client, outputs)

    def _pause(self, client: Client, outputs: Iterable[int]) -> None:
        self.poller.register(client.sock.fileno(), select.POLLIN | select.POLLOUT)
        for fd in outputs:
            self.poller.register(fd, 0)

    def _resume(self, outputs: Iterable[int]) -> None:
        for fd in outputs:
            self.poller.register(fd, select.POLLIN)

    def _flush(self, client: Client) -> None:
        """Send what is pending, as far as the client takes it."""
        if not client.pending:
            return
        try:
            while client.pending:
                client.sock.send(client.pending[0], _NOW)
                del client.pending[0]
        except BlockingIOError:
            return
        except OSError:
            self._drop(client)
        else:
            self.poller.register(client.sock.fileno(), select.POLLIN)

    def is_behind(self) -> bool:
        """Tell whether a client has not taken all output yet."""
        return any(client.pending for client in self.clients.values())

    def _drop(self, client: Client) -> None:
        fd = client.sock.fileno()
        self.clients.pop(fd, None)
        client.pending.clear()
        self.poller.unregister(fd)
        client.sock.close()

    def finish(self) -> None:
        """Give each client a moment to take the last output."""
        for client in self.clients.values():
            client.sock.settimeout(_LAST_WORDS)
            try:
                for frame in client.pending:
                    client.sock.send(frame, _socket.MSG_NOSIGNAL)
            except OSError:
                continue
