"""Which addresses and interface names a container gets in its networks (pure but for chance)."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network

from stackr_schemas.container import Attachment
from stackr_schemas.errors import Conflict
from stackr_schemas.network import Endpoint, NetworkState

from stackr_engine.network import ipam
from stackr_engine.network.options import bridge_options
from stackr_engine.network.store import Lease

Holders = dict[str, str]
"""Containers by the address they have, the address that was given last at the end."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The addresses of one network that are in use."""

    ipv4: Holders
    ipv6: Holders


def _address(network: NetworkState, version: int, wanted: str | None, taken: Holders) -> str:
    """An address with its prefix length; empty if the network has none of this version."""
    pool = ipam.pool_of(network.spec, version)
    if pool is None and not wanted:
        return ""
    if pool is None or wanted:
        address = ipam.fixed_address(pool, wanted or "", network.spec.name)
    else:
        address = ipam.next_address(pool, taken, next(reversed(taken), ""))
    if holder := taken.get(str(address)):
        raise Conflict(
            f"address {address} in network {network.spec.name} is in use by container {holder[:12]}"
        )
    length = ip_network(pool.subnet).prefixlen if pool else 0
    return f"{address}/{length}"


def _mac(ipv4: str) -> str:
    packed = IPv4Address(ipv4.split("/")[0]).packed if ipv4 else secrets.token_bytes(4)
    return "02:42:" + packed.hex(":")


def _endpoint(
    item: Attachment, network: NetworkState, interfaces: tuple[str, str], taken: Taken
) -> Endpoint:
    ipv4 = _address(network, 4, item.ipv4, taken.ipv4)
    ipv6 = _address(network, 6, item.ipv6, taken.ipv6)
    pools = [ipam.pool_of(network.spec, version) for version in (4, 6)]
    gateways = [pool.gateway if pool and not network.spec.internal else "" for pool in pools]
    return Endpoint(
        network_id=network.id,
        network=network.spec.name,
        interface=interfaces[0],
        host_interface=interfaces[1],
        mac=item.mac or _mac(ipv4),
        ipv4=ipv4,
        ipv6=ipv6,
        gateway=gateways[0],
        gateway6=gateways[1],
        aliases=item.aliases,
    )


def _free_name(prefix: str, names: set[str]) -> str:
    return next(name for n in range(len(names) + 1) if (name := f"{prefix}{n}") not in names)


def new_leases(
    container: str,
    attachments: Sequence[tuple[Attachment, NetworkState]],
    recorded: Sequence[Lease],
    taken: Mapping[str, Taken],
    prefix: str,
) -> list[Lease]:
    """What a container gets beyond what is recorded; `taken` learns of it.

    `prefix` begins the names of links on the host. Raises Conflict, StackrError.
    """
    names = {lease.endpoint.interface for lease in recorded}
    names |= {item.interface for item, _ in attachments if item.interface}
    there = {lease.endpoint.network_id for lease in recorded}
    leases = []
    for item, network in attachments:
        if network.id in there:
            continue
        there.add(network.id)
        automatic = bridge_options(network.spec).interface_prefix
        interface = item.interface or _free_name(automatic, names)
        names.add(interface)
        host = prefix + secrets.token_hex(4)
        point = _endpoint(item, network, (interface, host), taken[network.id])
        leases.append(Lease(container, point, item.gw_priority))
        _take(taken[network.id], point, container)
    return leases


def _take(taken: Taken, point: Endpoint, container: str) -> None:
    for text, holders in ((point.ipv4, taken.ipv4), (point.ipv6, taken.ipv6)):
        if text:
            holders[text.split("/")[0]] = container
