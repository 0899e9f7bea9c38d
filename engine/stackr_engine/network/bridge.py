"""Bridges of networks: made as recorded, removed in the background."""

import threading
from ipaddress import ip_interface, ip_network

from stackr_schemas.errors import Conflict
from stackr_schemas.network import NetworkState

from stackr_engine.network import forwarding, ipam
from stackr_engine.network.inventory import links
from stackr_engine.network.link import (
    address_add,
    bridge_add,
    link_delete,
    link_down,
    link_index,
)
from stackr_engine.network.netlink import NetlinkSocket
from stackr_engine.network.options import bridge_options
from stackr_engine.network.ruleset import BridgeRule
from stackr_engine.network.store import NetworkStore
from stackr_engine.paths import Paths


def bridge_rule(network: NetworkState) -> BridgeRule:
    """What the rules must know of a network's bridge."""
    options = bridge_options(network.spec)
    subnets = tuple(pool.subnet for pool in network.spec.pools)
    return BridgeRule(
        network.bridge, subnets, network.spec.internal, options.is_hidden, options.can_talk
    )


class Bridges:
    """The bridges of one engine; an alias tells them from those of others."""

    def __init__(self, paths: Paths, store: NetworkStore, route: NetlinkSocket):
        self._alias = f"{paths.instance} network "
        self._prefix = f"sk{paths.tag}"
        self._store = store
        self._route = route
        self._leaving: list[threading.Thread] = []

    def ensure(self, network: NetworkState) -> None:
        """Make whatever of a bridge is missing. Raises Conflict if its name is another's."""
        options = bridge_options(network.spec)
        if options.name and self._is_anothers(options.name):
            name = network.spec.name
            raise Conflict(f"network {name}: a link named {options.name} exists on this host")
        mac = "02:42:" + ":".join(network.id[i : i + 2] for i in range(0, 8, 2))
        alias = self._alias + network.spec.name
        self._route.apply(bridge_add(network.bridge, mac, options.mtu, alias))
        index = link_index(network.bridge, self._route.socket)
        gateways = [
            ip_interface(f"{pool.gateway}/{ip_network(pool.subnet).prefixlen}")
            for pool in network.spec.pools
        ]
        self._route.apply([address_add(index, gateway) for gateway in gateways])
        forwarding.allow_loopback(network.bridge)
        if not network.spec.internal:
            for version in (4, 6):
                if ipam.pool_of(network.spec, version):
                    forwarding.enable(self._store, version, self._prefix)

    def _is_anothers(self, name: str) -> bool:
        found = (link for link in links(self._route) if link.name == name)
        return any(not link.alias.startswith(self._alias) for link in found)

    def remove(self, name: str) -> None:
        """Take a bridge down now and let it go in the background: the kernel takes 30 ms."""
        if self._is_anothers(name):
            return
        self._route.send([link_down(name)])
        thread = threading.Thread(target=_delete, args=(name,), name=f"delete {name}")
        self._leaving.append(thread)
        thread.start()

    def settle(self) -> None:
        """Wait for bridges that are on their way out."""
        while self._leaving:
            self._leaving.pop().join()

    def remove_others(self, wanted: set[str]) -> None:
        """Remove bridges of this engine that no record names: its process was killed meanwhile."""
        self.settle()
        for link in links(self._route):
            if link.alias.startswith(self._alias) and link.name not in wanted:
                self._route.apply([link_delete(link.name)])


def _delete(name: str) -> None:
    with NetlinkSocket() as route:
        route.apply([link_delete(name)])
