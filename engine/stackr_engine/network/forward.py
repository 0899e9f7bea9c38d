"""Questions that are not ours go to nameservers as they came (part of the resolver)."""

import socket
from collections.abc import Callable

from stackr_engine.network import dns
from stackr_engine.network.loop import Loop

PATIENCE = 2.0
"""Seconds for one nameserver; a client commonly waits five before it asks again."""
ROUNDS = 2
MOST = 512
RETRY = (dns.SERVFAIL, dns.REFUSED)
Reply = Callable[[bytes], None]
Address = tuple[object, ...]


class Upstream:
    """Nameservers, and the network namespace (a descriptor) from which they are asked."""

    __slots__ = ("netns", "servers")

    def __init__(self, servers: list[str], netns: int | None = None):
        self.servers = servers
        self.netns = netns

    def socket(self, server: str, kind: socket.SocketKind) -> tuple[socket.socket, Address]:
        """A socket that does not block, and where to connect it."""
        family, _, _, _, address = socket.getaddrinfo(
            server, 53, type=kind, flags=socket.AI_NUMERICHOST
        )[0]
        if self.netns is None:
            made = socket.socket(family, kind)
        else:
            # Few containers have nameservers of their own; only for them ctypes is loaded.
            from stackr_engine.network import namespace

            with namespace.joined(self.netns):
                made = socket.socket(family, kind)
        made.setblocking(False)
        return made, address


class Question:
    """One forwarded question: each nameserver in turn until one answers."""

    def __init__(self, forwarder: "Forwarder", message: bytes, upstream: Upstream, reply: Reply):
        self._forwarder = forwarder
        self._loop = forwarder.loop
        self._message = message
        self._upstream = upstream
        self._servers = upstream.servers * ROUNDS
        self._reply = reply
        self._socket: socket.socket | None = None
        self._attempt = 0
        self._last = b""
        self._next()

    def _next(self) -> None:
        self._stop()
        while self._servers:
            server = self._servers.pop(0)
            try:
                self._start(server)
            except OSError:
                self._stop()
                continue
            self._wait(self._attempt)
            return
        self._finish(self._last or dns.refusal(dns.Query(self._message), dns.SERVFAIL))

    def _wait(self, attempt: int) -> None:
        self._loop.after(PATIENCE, lambda: self._late(attempt))

    def _late(self, attempt: int) -> None:
        if attempt == self._attempt and self._socket is not None:
            self._next()

    def _stop(self) -> None:
        self._attempt += 1
        if self._socket is not None:
            self._loop.forget(self._socket)
            self._socket = None

    def _start(self, server: str) -> None:
        self._socket, address = self._upstream.socket(server, socket.SOCK_DGRAM)
        self._socket.connect(address)
        self._socket.send(self._message)
        self._loop.watch(self._socket, self._readable)

    def _readable(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(65535)
        except BlockingIOError:
            return
        except OSError:
            # Nobody listens there: the kernel tells by an ICMP message.
            self._next()
            return
        self._answered(data)

    def _answered(self, data: bytes) -> None:
        if not _belongs(data, self._message):
            return
        if data[3] & 0xF in RETRY and self._servers:
            self._last = data
            self._next()
        else:
            self._finish(data)

    def _finish(self, data: bytes) -> None:
        self._stop()
        self._forwarder.count -= 1
        self._reply(data)


class StreamQuestion(Question):
    """The same over TCP, for answers that are too long for a datagram."""

    def _start(self, server: str) -> None:
        self._received = b""
        self._socket, address = self._upstream.socket(server, socket.SOCK_STREAM)
        if self._socket.connect_ex(address) not in (0, 115):  # EINPROGRESS
            raise ConnectionError
        self._loop.watch(self._socket, self._connected, write=True)

    def _connected(self) -> None:
        assert self._socket is not None
        try:
            self._socket.send(len(self._message).to_bytes(2, "big") + self._message)
        except OSError:
            self._next()
        else:
            self._loop.watch(self._socket, self._readable)

    def _answered(self, data: bytes) -> None:
        self._received += data
        length = int.from_bytes(self._received[:2], "big")
        if not data:
            self._next()
        elif len(self._received) >= 2 + length and length >= dns.HEADER.size:
            super()._answered(self._received[2 : 2 + length])


def _belongs(answer: bytes, query: bytes) -> bool:
    try:
        same = dns.question_of(answer).lower() == dns.question_of(query).lower()
    except IndexError:
        return False
    return same and answer[:2] == query[:2] and bool(answer[2] & 0x80)


class Forwarder:
    """Counts the questions on their way, so that a flood does not eat every descriptor."""

    def __init__(self, loop: Loop):
        self.loop = loop
        self.count = 0

    def ask(self, message: bytes, upstream: Upstream, reply: Reply, *, stream: bool) -> None:
        """Ask the nameservers in turn; `reply` gets an answer or a failure, once."""
        if self.count >= MOST:
            reply(dns.refusal(dns.Query(message), dns.SERVFAIL))
            return
        self.count += 1
        kind = StreamQuestion if stream else Question
        kind(self, message, upstream, reply)
