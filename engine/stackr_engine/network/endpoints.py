"""Endpoints: a container's namespace joined to bridges by veth pairs, with leased addresses."""

import socket
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from ipaddress import ip_interface

from stackr_schemas.container import Attachment
from stackr_schemas.errors import NotFound
from stackr_schemas.network import Endpoint, NetworkState

from stackr_engine.network import forwarding, namespace
from stackr_engine.network.inventory import links
from stackr_engine.network.lease import Taken, new_leases
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
        """Lease addresses for all, then connect each namespace; all or none."""
        for container in attachments:
            if not namespace.exists(self._paths.netns(container)):
                raise NotFound(f"container {container[:12]} has no network namespace")
        with self._leasing:
            recorded = {container: self._store.leases_of(container) for container in attachments}
            new = self._lease(attachments, networks, recorded)
        made = [lease for leases in new.values() for lease in leases]
        try:
            return {
                container: self._connect(
                    container,
                    {networks[item.network].id for item in some},
                    recorded[container] + new[container],
                    networks,
                )
                for container, some in attachments.items()
            }
        except BaseException:
            self._undo(made)
            raise

    def _lease(
        self,
        attachments: Attachments,
        networks: NetworksByKey,
        recorded: Mapping[str, list[Lease]],
    ) -> dict[str, list[Lease]]:
        wanted = {networks[item.network].id for some in attachments.values() for item in some}
        taken = {network: Taken(*self._store.holders(network)) for network in wanted}
        prefix = f"sv{self._paths.tag}"
        new = {}
        for container, some in attachments.items():
            places = [(item, networks[item.network]) for item in some]
            new[container] = new_leases(container, places, recorded[container], taken, prefix)
        self._store.add_leases(lease for leases in new.values() for lease in leases)
        return new

    def _undo(self, leases: list[Lease]) -> None:
        for lease in leases:
            self._route.apply([link_delete(lease.endpoint.host_interface)])
            self._store.remove_leases(lease.container, [lease.endpoint.network_id])

    def _connect(
        self, container: str, wanted: set[str], leases: list[Lease], networks: NetworksByKey
    ) -> list[Endpoint]:
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
