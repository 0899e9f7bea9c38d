"""The resident's side of the resolver: starts it, tells it who is called what, restarts it."""

import contextlib
import os
import select
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_interface
from pathlib import Path

from stackr_schemas.errors import StackrError
from stackr_schemas.network import Endpoint

from stackr_engine.network import dns_redirect, namespace
from stackr_engine.network.resolver_main import PACKET, PROTOCOL
from stackr_engine.network.zone import Client, Place
from stackr_engine.paths import Paths
from stackr_engine.spawn.client import Spawner

MODULE = "stackr_engine.network.resolver_main"
ROOT = Path(__file__).parents[2]
PATIENCE = 10.0
"""Seconds for the resolver to answer or end."""
CODE = f"import sys; sys.path.insert(0, sys.argv[1]); from {MODULE} import main; main([0], {{}})"


@dataclass(frozen=True, slots=True)
class Names:
    """What one container is called: `names` in all its networks, besides its endpoints' aliases.

    `nameservers` answer for names outside, asked from the container's network; none: those of the
    host, asked from the host.
    """

    name: str
    endpoints: Sequence[Endpoint]
    names: Sequence[str] = ()
    nameservers: Sequence[str] = ()


class Resolver:
    """Keeps a resolver process that knows the names of this engine's containers."""

    def __init__(self, paths: Paths, resolv_conf: Path = Path("/etc/resolv.conf")):
        self._paths = paths
        self._socket_path = paths.run / "resolver.sock"
        self._resolv_conf = resolv_conf
        self._spawner: Spawner | None = None
        self._zone: dict[str, Names] = {}
        self._holding: set[str] = set()
        self._connection: socket.socket | None = None
        self._lock = threading.RLock()
        self._watcher: threading.Thread | None = None
        self.pid = 0
        self._failure: Exception | None = None

    def start_or_connect(self, spawner: Spawner | None = None) -> None:
        """Connect to a living resolver; if there is none, the first `update` starts one."""
        with self._lock:
            self._spawner = spawner
            with contextlib.suppress(OSError):
                self._use(self._connected())

    def update(self, container: str, names: Names) -> None:
        """Tell what a container with a network namespace is called, before it or others ask."""
        with self._lock:
            self._zone[container] = names
            failure, self._failure = self._failure, None
            if failure is not None:
                raise StackrError(f"the resolver of names does not start: {failure}")
            if self._connection is None:
                self._start()
            else:
                self._tell(container)

    def remove(self, container: str) -> None:
        """Forget a container and let its namespace go; also one that an earlier resident told."""
        with self._lock:
            self._zone.pop(container, None)
            self._holding.discard(container)
            self._order(b"r", container)

    def close(self) -> None:
        """Disconnect; a resolver that serves no container ends, and this waits for it."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.shutdown(socket.SHUT_WR)
        if self._watcher is not None:
            self._watcher.join()
        if not self._holding:
            _wait_for_end(self.pid)
            self._socket_path.unlink(missing_ok=True)

    # Process and connection

    def _start(self) -> None:
        """Start a process without waiting for it: what it is told waits in its socket."""
        self._socket_path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(str(self._socket_path))
        self._socket_path.chmod(0o600)
        listener.listen(8)
        self._adopt(self._connected(), set(), listener)

    def _spawn(self, listener: int) -> None:
        if self._spawner is not None:
            service = self._spawner.service("stackr-resolver", MODULE, (listener,), {})
            os.close(service.pidfd)
            return
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        actions = [(os.POSIX_SPAWN_DUP2, fd, n) for n, fd in enumerate((listener, null))]
        actions.append((os.POSIX_SPAWN_DUP2, null, 2))
        command = [sys.executable, "-I", "-S", "-c", CODE, str(ROOT), str(self._paths.run)]
        try:
            os.posix_spawn(command[0], command, {}, file_actions=actions, setsid=True)
        finally:
            os.close(null)

    def _connected(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.settimeout(PATIENCE)
            connection.connect(str(self._socket_path))
        except OSError:
            connection.close()
            raise
        return connection

    def _use(self, connection: socket.socket) -> None:
        protocol, pid, *holding = connection.recv(PACKET).decode().split("\n")
        if int(protocol) == PROTOCOL:
            self.pid = int(pid)
            self._adopt(connection, set(holding), None)
            return
        # Left by an older version: the next update starts one that we understand.
        connection.send(b"q")
        connection.close()
        _wait_for_end(int(pid))

    def _adopt(
        self, connection: socket.socket, holding: set[str], listener: socket.socket | None
    ) -> None:
        self._connection = connection
        self._holding = holding
        self._watcher = threading.Thread(
            target=self._watch, args=(connection, listener), name="resolver", daemon=True
        )
        self._watcher.start()
        self._order(b"c", str(self._resolv_conf))
        for container in list(self._zone):
            self._tell(container)

    def _watch(self, connection: socket.socket, listener: socket.socket | None) -> None:
        """Start the process if there is none; wait for its end; start a successor."""
        has_run = listener is None or self._launched(connection, listener)
        with connection:
            with contextlib.suppress(ConnectionError):
                _wait_readable(connection)
            with self._lock:
                if self._connection is not connection:
                    return
                self._connection = None
                _reap(self.pid)
                if self._zone and has_run:
                    self._start()

    def _launched(self, connection: socket.socket, listener: socket.socket) -> bool:
        with listener:
            try:
                self._spawn(listener.fileno())
            except (OSError, StackrError) as error:
                self._failure = error
                return False
        # Only a listener that is ours no more tells that the process has ended.
        _wait_readable(connection)
        try:
            self.pid = int(connection.recv(PACKET).decode().split("\n")[1])
        except (OSError, IndexError) as error:
            self._failure = error
            return False
        return True

    def _order(self, order: bytes, text: str, descriptors: Sequence[int] = ()) -> None:
        if self._connection is None:
            return
        # A resolver that was just killed gets everything again from `_watch`.
        with contextlib.suppress(ConnectionError):
            socket.send_fds(self._connection, [order + text.encode()], descriptors)

    def _tell(self, container: str) -> None:
        text = _client(container, self._zone[container]).to_json()
        path = self._paths.netns(container)
        if container in self._holding:
            self._order(b"u", text)
        elif namespace.exists(path):
            udp, tcp = dns_redirect.open_sockets(path)
            with udp, tcp, open(path, "rb") as netns:
                descriptors = [udp.fileno(), tcp.fileno(), netns.fileno()]
                own = self._zone[container].nameservers
                self._order(b"u", text, descriptors if own else descriptors[:2])
            self._holding.add(container)


def _wait_readable(connection: socket.socket) -> None:
    select.select([connection], [], [])


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _wait_for_end(pid: int) -> None:
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([process], [], [], PATIENCE)
    finally:
        os.close(process)
    _reap(pid)


def _client(container: str, names: Names) -> Client:
    places = []
    for point in names.endpoints:
        together = dict.fromkeys((names.name, container[:12], *names.names, *point.aliases))
        packed = [ip_interface(ip).ip.packed if ip else b"" for ip in (point.ipv4, point.ipv6)]
        places.append(Place(point.network_id, point.network, list(together), *packed))
    forwards = any(point.gateway or point.gateway6 for point in names.endpoints)
    return Client(container, names.name, places, forwards, list(names.nameservers))
