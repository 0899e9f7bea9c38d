"""Published ports: chosen, held against other programs, and translated by the rules."""

import contextlib
import errno
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface

from stackr_schemas.container import PublishedPort
from stackr_schemas.errors import Conflict, StackrError
from stackr_schemas.network import NetworkState

from stackr_engine.network import ruleset
from stackr_engine.network.conntrack import forget_udp
from stackr_engine.network.netlink import NetlinkSocket
from stackr_engine.network.nftables import Table, commit
from stackr_engine.network.options import bridge_options
from stackr_engine.network.ruleset import PortRule
from stackr_engine.network.store import Lease, NetworkStore, by_gateway_rank

HolderOfPort = Callable[[str, int, str], str | None]
"""Says in words who has a host port (`tcp`, 80, "127.0.0.1") open, if that can be known."""
KINDS = {
    "tcp": (socket.SOCK_STREAM, 0),
    "udp": (socket.SOCK_DGRAM, 0),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}
ATTEMPTS = 20


class PortPublished(Conflict):
    """A container of ours, known by its id here, publishes the port."""

    def __init__(self, port: str, container: str):
        super().__init__(f"port {port} is published by container {container[:12]}")
        self.port = port
        self.container = container


@dataclass(frozen=True, slots=True)
class HostPort:
    """One port of the host; an empty `address` is every address, of both IP versions."""

    protocol: str
    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.address or '0.0.0.0'}:{self.port}/{self.protocol}"


class Ports:
    """Published ports of one engine; the sockets that hold them live as long as this process."""

    def __init__(
        self,
        store: NetworkStore,
        table: Table,
        netfilter: NetlinkSocket,
        lock: threading.RLock,
        holder_of_port: HolderOfPort,
    ):
        self._store = store
        self._table = table
        self._netfilter = netfilter
        self._holder_of_port = holder_of_port
        self._held: dict[HostPort, tuple[str, list[socket.socket]]] = {}
        self._lock = lock

    def close(self) -> None:
        """Let every held port go."""
        for container in {holder for holder, _ in self._held.values()}:
            self._release(container)

    def restore(self) -> None:
        """Hold again what the database says is published; what is taken meanwhile stays taken."""
        with self._lock:
            for container, rule in self._store.ports():
                # If it is taken, the translation goes before any program that listens, so the
                # port works all the same.
                with contextlib.suppress(StackrError):
                    self._hold(container, HostPort(rule.protocol, rule.host_ip, rule.host_port))

    def reserve(self, container: str, ports: Sequence[PublishedPort]) -> tuple[PublishedPort, ...]:
        """Hold all ports or none; returns them with `host_port` chosen."""
        with self._lock:
            before = set(self._held)
            try:
                return tuple(self._chosen(container, wanted) for wanted in ports)
            except BaseException:
                for port in set(self._held) - before:
                    _close(self._held.pop(port)[1])
                raise

    def _chosen(self, container: str, wanted: PublishedPort) -> PublishedPort:
        port = HostPort(wanted.protocol, wanted.host_ip, wanted.host_port or 0)
        if not port.port:
            port = replace(port, port=self._chosen_before(container, wanted))
        for attempt in range(ATTEMPTS):
            try:
                held = self._hold(container, port)
                return wanted.model_copy(update={"host_port": held.port})
            except Conflict:
                # Port 0 found a free IPv4 port that is taken for IPv6: find another.
                if port.port or attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def _chosen_before(self, container: str, wanted: PublishedPort) -> int:
        """The port that the engine chose when this was published the last time; 0 if never."""
        key = (wanted.protocol, wanted.host_ip, wanted.container_port)
        rules = self._store.ports_of(container)
        return next((r.host_port for r in rules if (r.protocol, r.host_ip, r.port) == key), 0)

    def _hold(self, container: str, wanted: HostPort) -> HostPort:
        holder, _ = self._held.get(wanted, ("", None))
        if holder == container:
            return wanted
        if holder:
            raise PortPublished(str(wanted), holder)
        sockets: list[socket.socket] = []
        port = wanted
        try:
            for address in _addresses(wanted.address):
                made = _bound(port.protocol, address, port.port)
                if made is not None:
                    sockets.append(made)
                    port = replace(port, port=made.getsockname()[1])
        except OSError as error:
            _close(sockets)
            raise self._refusal(port, error) from None
        if not port.port:
            raise StackrError(f"the kernel has no {port.protocol} to choose a host port by")
        self._held[port] = (container, sockets)
        return port

    def _refusal(self, port: HostPort, error: OSError) -> StackrError:
        if error.errno == errno.EADDRNOTAVAIL:
            return StackrError(
                f"cannot publish {port}: {port.address} is not an address of this host"
            )
        if error.errno != errno.EADDRINUSE:
            return StackrError(f"cannot publish {port}: {error.strerror}")
        for held, (container, _) in self._held.items():
            if (held.protocol, held.port) == (port.protocol, port.port):
                return PortPublished(str(port), container)
        holder = self._holder_of_port(port.protocol, port.port, port.address)
        hint = "stop that program or publish another port"
        return Conflict(f"port {port} is in use" + (f" by {holder}" if holder else ""), hint=hint)

    def publish(
        self,
        container: str,
        ports: Sequence[PublishedPort],
        networks: Mapping[str, NetworkState],
    ) -> tuple[PublishedPort, ...]:
        """Hold the ports, record and translate them; what is published already stays."""
        if not ports:
            return ()
        leases = by_gateway_rank(self._store.leases_of(container))
        if not leases:
            raise StackrError(f"container {container[:12]} is in no network to publish ports of")
        target = leases[0]
        default = bridge_options(networks[target.endpoint.network_id].spec).host_ip
        with self._lock:
            named = [_with_host_ip(port, default) for port in ports]
            chosen = self.reserve(container, named)
            rules = [rule for port in chosen for rule in port_rules(port, target)]
            there = set(self._store.ports_of(container))
            self._store.add_ports(container, [rule for rule in rules if rule not in there])
            wanted = ruleset.merged(ruleset.port_elements(rule) for rule in rules)
            commit(self._netfilter, ruleset.add(self._table, wanted))
            self._forget_flows(rules)
        return chosen

    def unpublish(self, container: str, *, has_table: bool) -> None:
        """Stop translating to a container and let its ports go."""
        with self._lock:
            rules = self._store.ports_of(container)
            self._store.remove_ports(container)
            if rules and has_table:
                gone = ruleset.merged(ruleset.port_elements(rule) for rule in rules)
                commit(self._netfilter, ruleset.delete(self._table, gone))
            self._forget_flows(rules)
            self._release(container)

    def _forget_flows(self, rules: Sequence[PortRule]) -> None:
        for port in {rule.host_port for rule in rules if rule.protocol == "udp"}:
            forget_udp(self._netfilter, port)

    def _release(self, container: str) -> None:
        for port in [port for port, (holder, _) in self._held.items() if holder == container]:
            _close(self._held.pop(port)[1])


def _with_host_ip(port: PublishedPort, default: str) -> PublishedPort:
    return port if port.host_ip or not default else port.model_copy(update={"host_ip": default})


def _close(sockets: list[socket.socket]) -> None:
    for item in sockets:
        item.close()


def _addresses(host_ip: str) -> tuple[str, ...]:
    return (host_ip,) if host_ip else ("0.0.0.0", "::")


def _bound(protocol: str, address: str, port: int) -> socket.socket | None:
    """A socket that has the port without listening; None where the kernel cannot have one."""
    kind, number = KINDS[protocol]
    is_ipv6 = ip_address(address).version == 6
    try:
        made = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, kind, number)
    except OSError as error:
        if error.errno in (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT):
            return None
        raise
    try:
        if is_ipv6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _bind(made, address, port)
    except BaseException:
        made.close()
        raise
    return made


def _bind(made: socket.socket, address: str, port: int) -> None:
    try:
        made.bind((address, port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE or made.type != socket.SOCK_STREAM:
            raise
        # Connections that a server closed a minute ago are no hindrance, one that listens is;
        # bound like this the port is not held as firmly, so it is the second choice.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))


def port_rules(port: PublishedPort, target: Lease) -> list[PortRule]:
    """The translations that publish one port. Raises StackrError if it has no such IP."""
    addresses = [text for text in (target.endpoint.ipv4, target.endpoint.ipv6) if text]
    ips = [ip_interface(text).ip for text in addresses]
    host_ip = port.host_ip
    if host_ip:
        host = ip_address(host_ip)
        ips = [ip for ip in ips if ip.version == host.version]
        host_ip = str(host)
        if not ips or (host.version == 6 and host.is_loopback):
            raise StackrError(
                f"cannot publish on {host}: the container has no IPv{host.version} address there",
                hint="publish on an IPv4 address, or enable_ipv6 in the network",
            )
    number = port.host_port or 0
    return [PortRule(port.protocol, host_ip, number, str(ip), port.container_port) for ip in ips]
