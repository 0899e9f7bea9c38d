"""The resolver's process: answers at 127.0.0.11 in every container's network namespace.

It lives on when the resident dies. A resident connects to its socket and sends packets: `u` client
as JSON (with descriptors the first time: UDP and TCP socket made inside the namespace and, if the
client has nameservers of its own, the namespace from which they are asked), `r` id (remove), `c`
path of resolv.conf, `q` end. The resolver says once, on connecting, its protocol version, its
process id and the ids it has sockets for. With no client and no resident it ends. Standard library
only.
"""

import os
import socket

from stackr_engine.network import dns
from stackr_engine.network.forward import Forwarder, Reply, Upstream
from stackr_engine.network.loop import Loop
from stackr_engine.network.zone import Client, Zone

PROTOCOL = 1
PACKET = 1 << 17
IDLE = 1.0
"""Seconds without client and resident after which the process ends."""
STREAM_PATIENCE = 10.0
STREAMS = 256


class HostNameservers:
    """The nameservers of the host's resolv.conf, read again when the file changes."""

    def __init__(self) -> None:
        self.file = "/etc/resolv.conf"
        self._stamp: tuple[int, int] | None = None
        self._servers: list[str] = []

    def list(self) -> list[str]:
        """The nameservers of now."""
        try:
            status = os.stat(self.file)  # noqa: PTH116 - pathlib would be a module more to load
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp != self._stamp:
                with open(self.file, encoding="utf-8", errors="replace") as lines:
                    words = [line.split() for line in lines]
                self._servers = [w[1] for w in words if w[:1] == ["nameserver"] and len(w) > 1]
                self._stamp = stamp
        except OSError:
            self._servers = []
        return self._servers


class Served:
    """One container's sockets."""

    def __init__(self, server: "Server", ident: str, descriptors: list[int]):
        self._server = server
        self._id = ident
        self.udp, self.tcp = (socket.socket(fileno=number) for number in descriptors[:2])
        self.netns = descriptors[2] if len(descriptors) > 2 else None
        for item, callback in ((self.udp, self._datagram), (self.tcp, self._connection)):
            item.setblocking(False)
            server.loop.watch(item, callback)

    def close(self) -> None:
        """Let the namespace go."""
        self._server.loop.forget(self.udp)
        self._server.loop.forget(self.tcp)
        if self.netns is not None:
            os.close(self.netns)

    def _datagram(self) -> None:
        try:
            message, address = self.udp.recvfrom(4096)
        except OSError:
            return

        def reply(data: bytes) -> None:
            try:
                self.udp.sendto(data, address)
            except OSError:
                # The asker is gone, or the container is: nobody waits for this answer.
                return

        self._server.answer(self._id, message, reply, stream=False)

    def _connection(self) -> None:
        try:
            connection, _ = self.tcp.accept()
        except OSError:
            return
        Stream(self._server, self._id, connection)


class Stream:
    """One TCP connection of a container: messages that are preceded by their length."""

    def __init__(self, server: "Server", ident: str, connection: socket.socket):
        self._server = server
        self._id = ident
        self._connection = connection
        self._received = b""
        if server.streams >= STREAMS:
            connection.close()
            return
        server.streams += 1
        connection.setblocking(False)
        server.loop.watch(connection, self._readable)
        server.loop.after(STREAM_PATIENCE, self._close)

    def _close(self) -> None:
        if self._connection.fileno() >= 0:
            self._server.streams -= 1
            self._server.loop.forget(self._connection)

    def _readable(self) -> None:
        try:
            data = self._connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._close()
            return
        self._received += data
        while len(self._received) > 2:
            end = 2 + int.from_bytes(self._received[:2], "big")
            if len(self._received) < end:
                return
            message, self._received = self._received[2:end], self._received[end:]
            self._server.answer(self._id, message, self._reply, stream=True)

    def _reply(self, data: bytes) -> None:
        if self._connection.fileno() < 0:
            return
        try:
            self._connection.send(len(data).to_bytes(2, "big") + data)
        except OSError:
            self._close()


class Server:
    """Everything the process holds."""

    def __init__(self, listener: socket.socket):
        self.loop = Loop()
        self.streams = 0
        self._listener = listener
        self._zone = Zone()
        self._served: dict[str, Served] = {}
        self._residents: set[socket.socket] = set()
        self._forwarder = Forwarder(self.loop)
        self._host = HostNameservers()
        self._is_done = False
        self.loop.watch(listener, self._accept, first=True)
        self.loop.after(10 * IDLE, self._end_if_idle)

    def run(self) -> None:
        """Serve until nobody needs it."""
        while not self._is_done:
            self.loop.step()

    def answer(self, ident: str, message: bytes, reply: Reply, *, stream: bool) -> None:
        """Answer one question of one container, now or when a nameserver has answered."""
        try:
            query = dns.Query(message)
        except dns.Malformed as error:
            if refusal := dns.malformed(message, error.rcode):
                reply(refusal)
            return
        client = self._zone.clients.get(ident)
        values = self._zone.values(client, query.name, query.kind) if client else None
        if values is not None:
            reply(dns.answer(query, values, 65535 if stream else query.limit or dns.PLAIN_LIMIT))
        elif client is None or not client.forwards:
            reply(dns.refusal(query, dns.NXDOMAIN))
        else:
            self._forwarder.ask(message, self._upstream(client), reply, stream=stream)

    def _upstream(self, client: Client) -> Upstream:
        if not client.nameservers:
            return Upstream(self._host.list())
        return Upstream(client.nameservers, self._served[client.id].netns)

    # What the resident says

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setblocking(False)
        self._residents.add(connection)
        self.loop.watch(connection, lambda: self._packets(connection), first=True)
        hello = [str(PROTOCOL), str(os.getpid()), *self._served]
        try:
            connection.send("\n".join(hello).encode())
        except ConnectionError:
            return  # killed meanwhile; what it said before is there to be read

    def _packets(self, connection: socket.socket) -> None:
        """Obey all that was said before any question is answered."""
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(connection, PACKET, 3)
            except BlockingIOError:
                return
            except OSError:
                data, descriptors = b"", []
            if not data:
                break
            self._obey(data[:1], data[1:].decode(), descriptors)
        self._residents.discard(connection)
        self.loop.forget(connection)
        self.loop.after(IDLE if self._served else 0, self._end_if_idle)

    def _obey(self, order: bytes, text: str, descriptors: list[int]) -> None:
        if order == b"u":
            client = Client.from_json(text)
            if descriptors:
                self._remove(client.id)
                self._served[client.id] = Served(self, client.id, descriptors)
            self._zone.update(client)
        elif order == b"r":
            self._remove(text)
        elif order == b"c":
            self._host.file = text
        elif order == b"q":
            self._is_done = True

    def _remove(self, ident: str) -> None:
        self._zone.remove(ident)
        served = self._served.pop(ident, None)
        if served is not None:
            served.close()

    def _end_if_idle(self) -> None:
        self._is_done = not self._served and not self._residents


def main(fds: list[int], arguments: dict[str, object]) -> None:
    """Serve as the resolver of one engine; `fds` is one listening SOCK_SEQPACKET socket."""
    del arguments
    listener = socket.socket(fileno=fds[0])
    listener.setblocking(False)
    Server(listener).run()
