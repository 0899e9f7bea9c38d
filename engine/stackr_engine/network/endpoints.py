"""Endpoints: a container's namespace joined to bridges by veth pairs, with leased addresses."""

import secrets
import socket
import sqlite3
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_interface, ip_network

from stackr_schemas.container import Attachment
from stackr_schemas.errors import Conflict, NotFound, StackrError
from stackr_schemas.network import Endpoint, NetworkState

from stackr_engine.network import forwarding, ipam, namespace
from stackr_engine.network.inventory import links
from stackr_engine.network.link import (
    Veth,
    address_add,
    bridge_join,
    default_route,
    link_delete,
    link_index,
    link_up,
    veth_add,
)
from stackr_engine.network.netlink import Message, NetlinkSocket
from stackr_engine.network.options import bridge_options
from stackr_engine.network.store import Lease, NetworkStore, by_gateway_rank
from stackr_engine.paths import Paths

PATIENCE = 5.0
"""Seconds; a namespace ends in milliseconds unless a process is still in it."""
Attachments = Mapping[str, Sequence[Attachment]]
NetworksByKey = Mapping[str, NetworkState]


class Endpoints:
    """Network namespaces of one engine and what is in them."""

    def __init__(self, paths: Paths, store: NetworkStore, route: NetlinkSocket):
        self._paths = paths
        self._store = store
        self._route = route
        self._leasing = threading.Lock()

    def open_namespace(self, container: str) -> None:
        """Make a namespace with loopback up; one that exists stays."""
        path = self._paths.netns(container)
        if namespace.exists(path):
            return
        try:
            with namespace.created(path), NetlinkSocket() as route:
                route.apply([link_up("lo")])
        except BaseException:
            namespace.remove(path)
            raise

    def close_namespace(self, container: str) -> None:
        """Free the container's addresses and let its namespace go."""
        namespace.remove(self._paths.netns(container))
        self._store.remove_leases(container)

    def settle(self) -> None:
        """Wait until the kernel has ended the namespaces that were let go, with their links."""
        end = time.monotonic() + PATIENCE
        prefix = f"sv{self._paths.tag}"
        while time.monotonic() < end:
            recorded = {lease.endpoint.host_interface for lease in self._store.leases()}
            names = {name for _, name in socket.if_nameindex() if name.startswith(prefix)}
            if names <= recorded:
                return
            time.sleep(0.002)

    def attach_many(
        self, attachments: Attachments, networks: NetworksByKey
    ) -> dict[str, list[Endpoint]]:
        """Lease addresses, make all pairs in one go, then configure each namespace."""
        for container in attachments:
            if not namespace.exists(self._paths.netns(container)):
                raise NotFound(f"container {container[:12]} has no network namespace")
        with self._leasing:
            leases = self._leases_for(attachments, networks)
            try:
                self._store.add_leases(leases)
            except sqlite3.IntegrityError as error:
                raise Conflict(f"an address is in use already: {error}") from None
        try:
            return {
                container: self._connect(container, some, networks)
                for container, some in attachments.items()
            }
        except BaseException:
            self._undo(leases)
            raise

    def _undo(self, leases: list[Lease]) -> None:
        for lease in leases:
            self._route.apply([link_delete(lease.endpoint.host_interface)])
            self._store.remove_leases(lease.container, [lease.endpoint.network_id])

    # Leases

    def _leases_for(self, attachments: Attachments, networks: NetworksByKey) -> list[Lease]:
        leases: list[Lease] = []
        taken: dict[str, list[Lease]] = {}
        for container, some in attachments.items():
            recorded = self._store.leases_of(container)
            names = {lease.endpoint.interface for lease in recorded}
            names |= {item.interface for item in some if item.interface}
            there = {lease.endpoint.network_id for lease in recorded}
            for item in some:
                network = networks[item.network]
                if network.id in there:
                    continue
                if network.id not in taken:
                    taken[network.id] = self._store.leases(network.id)
                prefix = bridge_options(network.spec).interface_prefix
                interface = item.interface or _free_name(prefix, names)
                names.add(interface)
                point = self._endpoint(item, network, interface, taken[network.id])
                lease = Lease(container, point, item.gw_priority)
                taken[network.id].append(lease)
                leases.append(lease)
        return leases

    def _endpoint(
        self, item: Attachment, network: NetworkState, interface: str, taken: list[Lease]
    ) -> Endpoint:
        ipv4 = _address(network, 4, item.ipv4, taken)
        ipv6 = _address(network, 6, item.ipv6, taken)
        pools = [ipam.pool_of(network.spec, version) for version in (4, 6)]
        gateways = [pool.gateway if pool and not network.spec.internal else "" for pool in pools]
        packed = ip_interface(ipv4).packed[:4] if ipv4 else secrets.token_bytes(4)
        return Endpoint(
            network_id=network.id,
            network=network.spec.name,
            interface=interface,
            host_interface=f"sv{self._paths.tag}{secrets.token_hex(4)}",
            mac=item.mac or "02:42:" + packed.hex(":"),
            ipv4=ipv4,
            ipv6=ipv6,
            gateway=gateways[0],
            gateway6=gateways[1],
            aliases=item.aliases,
        )

    # Kernel

    def _connect(
        self, container: str, attachments: Sequence[Attachment], networks: NetworksByKey
    ) -> list[Endpoint]:
        wanted = {networks[item.network].id for item in attachments}
        leases = self._store.leases_of(container)
        points = [lease.endpoint for lease in leases if lease.endpoint.network_id in wanted]
        path = self._paths.netns(container)
        with namespace.entered(path) as descriptor, NetlinkSocket() as inside:
            missing = [p for p in points if not link_index(p.interface, inside.socket)]
            self._make_pairs(missing, networks, descriptor)
            self._configure(inside, points, leases)
        return points

    def _make_pairs(self, points: list[Endpoint], networks: NetworksByKey, descriptor: int) -> None:
        messages: list[Message] = []
        for point in points:
            network = networks[point.network_id]
            options = bridge_options(network.spec)
            veth = Veth(
                host=point.host_interface,
                peer=point.interface,
                bridge=link_index(network.bridge, self._route.socket),
                netns=descriptor,
                mac=point.mac,
                mtu=options.mtu,
                group=zlib.crc32(network.id.encode()) & 0x7FFFFFFF,
                isolated=not options.can_talk,
            )
            if link_index(veth.host, self._route.socket):
                # Its other end is in a namespace that is about to end.
                messages.append(link_delete(veth.host))
            messages += veth_add(veth)
        self._route.apply(messages)

    def _configure(
        self, inside: NetlinkSocket, points: list[Endpoint], leases: list[Lease]
    ) -> None:
        messages: list[Message] = []
        indices = {p.network_id: link_index(p.interface, inside.socket) for p in points}
        for point in points:
            if not point.ipv6:
                forwarding.without_ipv6(point.interface)
            for address in filter(None, (point.ipv4, point.ipv6)):
                messages.append(address_add(indices[point.network_id], ip_interface(address)))
            messages.append(link_up(point.interface))
        if points:
            inside.apply(messages + _default_routes(inside, leases))

    def rejoin(self, networks: NetworksByKey) -> None:
        """Put the host's ends of recorded endpoints into their bridges again, up."""
        found = {link.name: link for link in links(self._route)}
        for lease in self._store.leases():
            network = networks[lease.endpoint.network_id]
            link, bridge = found.get(lease.endpoint.host_interface), found[network.bridge]
            if link is not None and (link.master != bridge.index or not link.is_up):
                isolated = not bridge_options(network.spec).can_talk
                self._route.apply(bridge_join(link.name, bridge.index, isolated=isolated))

    def detach(self, container: str, network_id: str) -> None:
        """Take the container out of a network. Raises NotFound if it is not in it."""
        leases = self._store.leases_of(container)
        gone = next((item for item in leases if item.endpoint.network_id == network_id), None)
        if gone is None:
            raise NotFound(f"container {container[:12]} is not in this network")
        self._route.apply([link_delete(gone.endpoint.host_interface)])
        self._store.remove_leases(container, [network_id])
        leases.remove(gone)
        path = self._paths.netns(container)
        if namespace.exists(path):
            with namespace.entered(path), NetlinkSocket() as inside:
                # The route went with its link; another network may have one to offer.
                inside.apply(_default_routes(inside, leases))


def _free_name(prefix: str, names: set[str]) -> str:
    return next(name for n in range(len(names) + 1) if (name := f"{prefix}{n}") not in names)


def _address(network: NetworkState, version: int, wanted: str | None, taken: list[Lease]) -> str:
    pool = ipam.pool_of(network.spec, version)
    holders = {
        ip_interface(text).ip: lease.container
        for lease in taken
        if (text := lease.endpoint.ipv4 if version == 4 else lease.endpoint.ipv6)
    }
    if wanted:
        address = ipam.fixed_address(pool, wanted, network.spec.name)
        if address in holders:
            holder = holders[address][:12]
            name = network.spec.name
            raise Conflict(f"address {address} in network {name} is in use by container {holder}")
    elif pool:
        address = ipam.next_address(pool, holders, max(holders, default=None, key=int))
    else:
        return ""
    if pool is None:
        raise StackrError(f"network {network.spec.name} has no IPv{version}")
    return f"{ip_address(address)}/{ip_network(pool.subnet).prefixlen}"


def _default_routes(inside: NetlinkSocket, leases: list[Lease]) -> list[Message]:
    """Route by default through the network of the highest gw_priority, then by name."""
    ranked = by_gateway_rank(leases)
    messages = []
    for version in (4, 6):
        for lease in ranked:
            point = lease.endpoint
            gateway = point.gateway if version == 4 else point.gateway6
            index = link_index(point.interface, inside.socket) if gateway else 0
            if index:
                messages.append(default_route(index, gateway))
                break
    return messages
