"""One command of one user: its arguments, its terminal, its signals, and a way to end it."""

import io
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from stackr_engine.spawn.wire import descriptors

CURRENT: ContextVar["Session"] = ContextVar("session")


class Interrupted(Exception):
    """The user's first Ctrl-C, or a client that went away, ended the command."""


@dataclass(frozen=True)
class Request:
    """What the client sent."""

    version: str
    code: str
    cwd: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    fds: tuple[int, int, int]


def receive_request(connection: socket.socket) -> Request:
    """Read the request that `stackr.client.send_request` wrote; EOFError if it is cut short."""
    # Not socket.recv_fds, which (up to Python 3.13) forgets its flags; and a spawner that
    # is started meanwhile would hold the client's pipes open.
    data, ancillary, _, _ = connection.recvmsg(
        1 << 16, socket.CMSG_SPACE(12), socket.MSG_CMSG_CLOEXEC
    )
    fds = descriptors(ancillary)
    while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4], "little"):
        more = connection.recv(1 << 16)
        if not more:
            raise EOFError
        data += more
    words = [os.fsdecode(word) for word in data[4:].split(b"\0")]
    count = int(words[3])
    pairs = (word.partition("=") for word in words[4 + count :])
    environment = {name: value for name, _, value in pairs}
    stdin, stdout, stderr = fds
    fixed = words[0], words[1], words[2]
    return Request(*fixed, tuple(words[4 : 4 + count]), environment, (stdin, stdout, stderr))


def text_stream(fd: int) -> TextIO:
    """Open a descriptor for text; lines are written as they end."""
    return io.TextIOWrapper(
        io.FileIO(fd, "w"), "utf-8", errors="surrogateescape", line_buffering=True, newline=""
    )


class Session:
    """A command's surroundings; `link` is the client's socket, None when there is no client."""

    def __init__(self, request: Request, link: socket.socket | None = None):
        self.request = request
        self.link = link
        self.stdin, stdout, stderr = request.fds
        self.stdout = text_stream(stdout)
        self.stderr = text_stream(stderr)
        self.gone = threading.Event()
        """The client went away: nobody reads what we print."""
        self.interrupted = threading.Event()
        self._handlers: list[Callable[[int], None]] = []
        self._delivering = threading.RLock()
        if link is not None:
            threading.Thread(target=self._listen, args=(link,), daemon=True).start()

    @classmethod
    def of_this_process(cls, arguments: Sequence[str]) -> "Session":
        """The session of a command that runs without a resident."""
        fds = (0, os.dup(1), os.dup(2))
        request = Request("", "", str(Path.cwd()), tuple(arguments), dict(os.environ), fds)
        return cls(request)

    def _listen(self, link: socket.socket) -> None:
        with suppress(OSError):
            while data := link.recv(64):
                for number in data:
                    self._deliver(number)
        self.gone.set()
        self._deliver(signal.SIGHUP)

    def _deliver(self, number: int) -> None:
        with self._delivering:
            for handler in self._handlers:
                handler(number)
            is_handled = bool(self._handlers)
        if not is_handled and number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self.interrupted.set()

    @contextmanager
    def on_signal(self, handler: Callable[[int], None]) -> Iterator[None]:
        """Call the handler, in the listening thread, for each signal inside the `with` block."""
        with self._delivering:
            self._handlers.append(handler)
        if self.gone.is_set():
            handler(signal.SIGHUP)
        try:
            yield
        finally:
            with self._delivering:  # no handler runs any more when its block has ended
                self._handlers.remove(handler)

    def check(self) -> None:
        """Raise Interrupted if the user wants this command to end."""
        if self.interrupted.is_set() or self.gone.is_set():
            raise Interrupted

    def is_terminal(self, stream: TextIO) -> bool:
        """Tell whether a person looks at this stream."""
        return os.isatty(stream.fileno())

    def window_size(self) -> tuple[int, int]:
        """Return rows and columns of the terminal on stdout or stdin, (0, 0) if there is none."""
        import fcntl
        import termios

        for fd in (self.stdout.fileno(), self.stdin):
            with suppress(OSError):
                rows, columns, _, _ = struct.unpack(
                    "HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8))
                )
                return rows, columns
        return 0, 0

    def raw_terminal(self, raw: bool) -> None:
        """Ask the client to put its terminal into raw mode, or back."""
        if self.link is not None:
            self.link.sendall(b"r" if raw else b"c")

    def end(self, status: int) -> None:
        """Flush, tell the client its exit status, and let go of its descriptors."""
        for stream in (self.stdout, self.stderr):
            with suppress(OSError, ValueError):
                stream.close()
        with suppress(OSError):
            os.close(self.stdin)
        if self.link is not None:
            with suppress(OSError):
                self.link.sendall(b"x" + bytes([status & 255]))
            self.link.close()


class CurrentStream(io.TextIOBase):
    """Stands for sys.stdout or sys.stderr and writes to the stream of the calling session."""

    def __init__(self, name: str, fallback: TextIO):
        self._name = name
        self._fallback = fallback

    def _stream(self) -> TextIO:
        session = CURRENT.get(None)
        stream: TextIO = getattr(session, self._name) if session else self._fallback
        return stream

    def write(self, text: str) -> int:
        """Write to the session's stream."""
        return self._stream().write(text)

    def flush(self) -> None:
        """Flush the session's stream."""
        self._stream().flush()

    def isatty(self) -> bool:
        """Tell whether the session's stream is a terminal."""
        return self._stream().isatty()
