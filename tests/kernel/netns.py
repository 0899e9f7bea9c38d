"""Containers without containers: network namespaces, servers in them, and another host."""

import contextlib
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from stackr_engine.network import namespace
from stackr_engine.network.networks import Networks
from stackr_engine.paths import Paths
from stackr_engine.state import State
from stackr_schemas.container import Attachment

Place = Path | None
"""A namespace's file, or None for the host."""


def inside(path: Place) -> AbstractContextManager[object]:
    return namespace.entered(path) if path else nullcontext()


@contextmanager
def serve_tcp(path: Place, address: str, port: int) -> Iterator[None]:
    """Answer every connection with the peer's address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with inside(path):
        server = socket.create_server((address, port), family=family)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, peer = server.accept()
                with connection:
                    connection.sendall(peer[0].encode())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        server.close()


@contextmanager
def serve_udp(path: Place, address: str, port: int) -> Iterator[None]:
    """Answer every datagram with the peer's address."""
    with inside(path):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((address, port))

    def serve() -> None:
        while True:
            data, peer = server.recvfrom(100)
            server.sendto(peer[0].encode(), peer)
            if data == b"end":
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        with inside(path), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"end", ("127.0.0.1", port))
        thread.join()
        server.close()


def answers(path: Place, address: str, port: int, timeout: float = 3) -> str:
    """What the server says to a client in `path`: the address that it sees."""
    with inside(path):
        connection = socket.create_connection((address, port), timeout=timeout)
    with connection:
        return connection.recv(100).decode()


def answers_udp(path: Place, address: str, port: int) -> str:
    with inside(path):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with client:
        client.settimeout(3)
        client.sendto(b"hello", (address, port))
        return client.recv(100).decode()


def hears(path: Place, address: str, sender: Place, to: tuple[str, int]) -> bool:
    """Whether a datagram sent to `to` arrives at a socket at `address`; no answer is needed."""
    with inside(path):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((address, 7000))
    with inside(sender):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server, client:
        server.settimeout(0.5)
        client.sendto(b"hello", to)
        with contextlib.suppress(TimeoutError):
            return server.recv(10) == b"hello"
    return False


def can_connect(path: Place, address: str, port: int) -> bool:
    try:
        return bool(answers(path, address, port, timeout=0.5))
    except OSError:
        return False


@dataclass
class Box:
    path: Path
    ip: str
    ipv6: str = ""
    gateway: str = ""
    subnet: str = ""
    name: str = ""


@dataclass
class Machine:
    """One engine's networks and what the test made beside them."""

    paths: Paths
    state: State
    networks: Networks
    others: list[tuple[str, Path]]

    @classmethod
    @contextmanager
    def on(cls, paths: Paths) -> Iterator["Machine"]:
        state = State(paths.database)
        machine = cls(paths, state, Networks(paths, state), [])
        try:
            yield machine
        finally:
            machine.end()

    def end(self) -> None:
        for link, path in self.others:
            subprocess.run(["ip", "link", "delete", link], check=False)
            namespace.remove(path)
        for container in self.networks.holders():
            self.networks.close_namespace(container)
        for network in self.networks.list():
            self.networks.remove(network.id)
        self.networks.settle()
        self.networks.close()
        self.state.close()
        assert self.paths.instance not in tables()

    def container(self, name: str, *networks: str) -> Box:
        self.networks.open_namespace(name)
        point = self.networks.attach(name, [Attachment(network=item) for item in networks])[0]
        ip, ipv6 = point.ipv4.split("/")[0], point.ipv6.split("/")[0]
        return Box(self.paths.netns(name), ip, ipv6, point.gateway, name=name)

    def other_host(self) -> Box:
        """A machine on another wire of this host, with this host as its router."""
        name = f"ot{self.paths.tag}"
        path = self.paths.run / name
        third = int(self.paths.tag[:2], 16)
        ip, gateway, subnet = (f"10.213.{third}.{last}" for last in ("2", "1", "0/24"))
        with namespace.created(path):
            pass
        self.others.append((name, path))
        peer = ("peer", "name", "eth0", "netns", str(path))
        tool("link", "add", name, "type", "veth", *peer)
        tool("address", "add", f"{gateway}/24", "dev", name)
        tool("link", "set", name, "up")
        with namespace.entered(path):
            tool("address", "add", f"{ip}/24", "dev", "eth0")
            tool("link", "set", "eth0", "up")
            tool("route", "add", "default", "via", gateway)
        return Box(path, ip, gateway=gateway, subnet=subnet)

    def route(self, box: Box, subnet: str) -> None:
        bridge_ip = self.networks.find(self.networks.endpoints(box.name)[0].network).spec.pools[0]
        with namespace.entered(box.path):
            tool("route", "add", subnet, "via", bridge_ip.gateway)

    def default_gateway(self, container: str) -> str:
        with namespace.entered(self.paths.netns(container)):
            lines = Path("/proc/thread-self/net/route").read_text().splitlines()[1:]
        found = [line.split()[2] for line in lines if line.split()[1] == "00000000"]
        assert len(found) == 1
        return socket.inet_ntoa(struct.pack("<I", int(found[0], 16)))

    def rules(self) -> str:
        command = ["nft", "-s", "list", "table", "inet", self.paths.instance]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    @contextmanager
    def another_engine(self) -> Iterator[Networks]:
        """What the next resident has: the same folders, nothing in memory."""
        state = State(self.paths.database)
        networks = Networks(self.paths, state)
        try:
            yield networks
        finally:
            networks.close()
            state.close()


def tool(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def tables() -> set[str]:
    done = subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, text=True)
    return {line.split()[-1] for line in done.stdout.splitlines()}
