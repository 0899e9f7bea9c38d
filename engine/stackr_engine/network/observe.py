"""What the kernel holds of our networks, against what is recorded: facts for drift.

Everything is read anew at each call. Listening for netlink events instead of calling now and
then belongs beside this module: an event is only a reason to call `deviations`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_interface, ip_network

from stackr_schemas.network import Endpoint, NetworkState

from stackr_engine.network import namespace, nftables, ruleset
from stackr_engine.network.inventory import Link, addresses, links
from stackr_engine.network.link import Interface
from stackr_engine.network.netlink import NetlinkSocket
from stackr_engine.network.nftables import Table
from stackr_engine.network.store import Lease
from stackr_engine.paths import Paths


@dataclass(frozen=True, slots=True)
class BridgeDeviates:
    """A network's bridge is missing, down, or without its gateway address."""

    network: str
    fault: str

    def __str__(self) -> str:
        return f"network {self.network}: bridge {self.fault}"


@dataclass(frozen=True, slots=True)
class EndpointDeviates:
    """A container's place in a network is not as it was made."""

    container: str
    network: str
    fault: str

    def __str__(self) -> str:
        return f"container {self.container[:12]} in network {self.network}: {self.fault}"


@dataclass(frozen=True, slots=True)
class RulesDeviate:
    """Rules or elements in the nftables table are missing, or not ours."""

    fault: str

    def __str__(self) -> str:
        return f"nftables: {self.fault}"


Deviation = BridgeDeviates | EndpointDeviates | RulesDeviate


def bridge_deviations(
    networks: Sequence[NetworkState], found: dict[str, Link], given: set[tuple[int, Interface]]
) -> Iterator[Deviation]:
    """Compare bridges and their addresses (pure)."""
    for network in networks:
        link = found.get(network.bridge)
        if link is None:
            yield BridgeDeviates(network.spec.name, "is missing")
            continue
        if not link.is_up:
            yield BridgeDeviates(network.spec.name, "is down")
        for pool in network.spec.pools:
            length = ip_network(pool.subnet).prefixlen
            gateway = ip_interface(f"{pool.gateway}/{length}")
            if (link.index, gateway) not in given:
                yield BridgeDeviates(network.spec.name, f"has no address {gateway}")


def host_deviations(
    leases: Sequence[Lease], bridges: dict[str, str], found: dict[str, Link]
) -> Iterator[Deviation]:
    """Compare the host's ends of containers' links (pure); `bridges` by network id."""
    for lease in leases:
        point = lease.endpoint
        link = found.get(point.host_interface)
        bridge = found.get(bridges[point.network_id])
        fault = ""
        if link is None:
            fault = f"link {point.host_interface} is missing"
        elif not link.is_up:
            fault = f"link {link.name} is down"
        elif bridge is not None and link.master != bridge.index:
            fault = f"link {link.name} is not in bridge {bridge.name}"
        if fault:
            yield EndpointDeviates(lease.container, point.network, fault)


def _inside_faults(point: Endpoint) -> Iterator[str]:
    with NetlinkSocket() as route:
        found = {link.name: link for link in links(route)}
        link = found.get(point.interface)
        if link is None:
            yield f"interface {point.interface} is missing"
            return
        if not link.is_up:
            yield f"interface {point.interface} is down"
        given = set(addresses(route))
    for text in filter(None, (point.ipv4, point.ipv6)):
        if (link.index, ip_interface(text)) not in given:
            yield f"address {text} is missing"


def inside_deviations(paths: Paths, leases: Sequence[Lease]) -> Iterator[Deviation]:
    """Look into each container's namespace."""
    for lease in leases:
        path, network = paths.netns(lease.container), lease.endpoint.network
        if not namespace.exists(path):
            yield EndpointDeviates(lease.container, network, "the network namespace is gone")
            continue
        with namespace.entered(path):
            faults = list(_inside_faults(lease.endpoint))
        for fault in faults:
            yield EndpointDeviates(lease.container, network, fault)


def rule_deviations(
    netfilter: NetlinkSocket, table: Table, wanted: ruleset.Elements
) -> Iterator[Deviation]:
    """Compare chains by their number of rules, and sets and maps by their elements."""
    if not table.exists(netfilter):
        yield RulesDeviate(f"table {table.name} is missing")
        return
    counts = nftables.rule_counts(netfilter, table)
    for chain in ruleset.chains():
        if counts.get(chain.name) != len(chain.rules):
            yield RulesDeviate(f"chain {chain.name} is not as it was made")
    for item in ruleset.SETS:
        expected = {(part.key, part.data) for part in wanted.get(item.name, ())}
        expected |= {(part.end, b"") for part in wanted.get(item.name, ()) if part.end}
        found = nftables.elements(netfilter, table, item.name)
        if found is None:
            yield RulesDeviate(f"set {item.name} is missing")
        elif expected - found:
            yield RulesDeviate(f"set {item.name} lacks {len(expected - found)} elements")
        elif found - expected:
            yield RulesDeviate(f"set {item.name} has {len(found - expected)} foreign elements")
