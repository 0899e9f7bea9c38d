"""Which subnet a network gets, and which address a container (pure: it only computes)."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeVar

from stackr_schemas.errors import Conflict, StackrError
from stackr_schemas.network import IpamPool, NetworkSpec

T = TypeVar("T")
Subnet = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

DEFAULT_POOLS = (
    *((IPv4Network(f"172.{second}.0.0/16"), 16) for second in range(17, 32)),
    (IPv4Network("192.168.0.0/16"), 20),
)
"""Where subnets are taken from, and their prefix length; Docker's default address pools."""


def overlaps(subnet: Subnet, taken: Iterable[Subnet]) -> Subnet | None:
    """The first of `taken` that shares an address with `subnet`."""
    for other in taken:
        if isinstance(subnet, IPv4Network) and isinstance(other, IPv4Network):
            if subnet.overlaps(other):
                return other
        elif (
            isinstance(subnet, IPv6Network)
            and isinstance(other, IPv6Network)
            and subnet.overlaps(other)
        ):
            return other
    return None


def _candidates() -> Iterator[IPv4Network]:
    for pool, length in DEFAULT_POOLS:
        yield from pool.subnets(new_prefix=length)


def free_ipv4(taken: Collection[Subnet]) -> IPv4Network:
    """The first default subnet that overlaps nothing. Raises Conflict if none is left."""
    for subnet in _candidates():
        if overlaps(subnet, taken) is None:
            return subnet
    raise Conflict(
        "no free subnet is left for a new network",
        hint="remove unused networks or give the network a subnet under ipam: config:",
    )


def free_ipv6(seed: str, taken: Collection[Subnet]) -> IPv6Network:
    """A unique local /64 made of `seed` that overlaps nothing (RFC 4193)."""
    for attempt in range(1000):
        digest = hashlib.sha256(f"{seed}{attempt}".encode()).digest()
        subnet = IPv6Network((b"\xfd" + digest[:7] + bytes(8), 64))
        if overlaps(subnet, taken) is None:
            return subnet
    raise Conflict("no free IPv6 subnet is left for a new network")


def _pool(pool: IpamPool, taken: Collection[Subnet], name: str) -> IpamPool:
    subnet = _parsed(ip_network, pool.subnet, name)
    other = overlaps(subnet, taken)
    if other is not None:
        raise Conflict(
            f"network {name}: subnet {subnet} overlaps {other}, which is in use on this host",
            hint="choose another subnet",
        )
    gateway = _parsed(ip_address, pool.gateway, name) if pool.gateway else _first(subnet)
    auxiliary = (_parsed(ip_address, text, name) for text in pool.aux_addresses.values())
    outside = next((part for part in (gateway, *auxiliary) if part not in subnet), None)
    if outside is not None:
        raise StackrError(f"network {name}: address {outside} is not in subnet {subnet}")
    if pool.ip_range and not _is_within(_parsed(ip_network, pool.ip_range, name), subnet):
        raise StackrError(f"network {name}: ip_range {pool.ip_range} is not in subnet {subnet}")
    return pool.model_copy(update={"subnet": str(subnet), "gateway": str(gateway)})


def _parsed(kind: Callable[[str], T], text: str, name: str) -> T:
    try:
        return kind(text)
    except ValueError as error:
        raise StackrError(f"network {name}: {error}") from None


def _first(subnet: Subnet) -> Address:
    return subnet.network_address + (1 if subnet.num_addresses > 2 else 0)


def _is_within(part: Subnet, whole: Subnet) -> bool:
    if isinstance(part, IPv4Network) and isinstance(whole, IPv4Network):
        return part.subnet_of(whole)
    return (
        isinstance(part, IPv6Network) and isinstance(whole, IPv6Network) and part.subnet_of(whole)
    )


def pools_for(spec: NetworkSpec, seed: str, taken: Collection[Subnet]) -> tuple[IpamPool, ...]:
    """The spec's pools with what it leaves open chosen. Raises Conflict, StackrError."""
    pools: list[IpamPool] = []
    used = list(taken)
    for pool in spec.pools:
        if pool.subnet:
            pools.append(_pool(pool, used, spec.name))
            used.append(ip_network(pools[-1].subnet))
    versions = {ip_network(pool.subnet).version for pool in pools}
    if spec.enable_ipv4 and 4 not in versions:
        pools.insert(0, _pool(IpamPool(subnet=str(free_ipv4(used))), used, spec.name))
    if spec.enable_ipv6 and 6 not in versions:
        pools.append(_pool(IpamPool(subnet=str(free_ipv6(seed, used))), used, spec.name))
    if not pools:
        raise StackrError(
            f"network {spec.name} has neither IPv4 nor IPv6", hint="enable one of them"
        )
    return tuple(pools)


def pool_of(spec: NetworkSpec, version: int) -> IpamPool | None:
    """The network's pool of one IP version."""
    return next((pool for pool in spec.pools if ip_network(pool.subnet).version == version), None)


def reserved(pool: IpamPool) -> set[Address]:
    """Addresses that no container may have."""
    subnet = ip_network(pool.subnet)
    found = {ip_address(pool.gateway), *map(ip_address, pool.aux_addresses.values())}
    if subnet.num_addresses > 2:
        found |= {subnet.network_address, subnet.broadcast_address}
    return found


def next_address(pool: IpamPool, taken: Collection[str], after: str) -> Address:
    """The first free address after `after` (or ""), from the start again at the end.

    Beginning at the newest lease keeps the search short. Raises Conflict when all are taken.
    """
    field = ip_network(pool.ip_range or pool.subnet)
    blocked = reserved(pool)
    start = int(ip_address(after)) + 1 - int(field.network_address) if after else 0
    if not 0 <= start < field.num_addresses:
        start = 0
    # Every refused candidate is taken or reserved, so this many steps are enough.
    for step in range(min(field.num_addresses, len(taken) + len(blocked) + 1)):
        candidate = field[(start + step) % field.num_addresses]
        if candidate not in blocked and str(candidate) not in taken:
            return candidate
    raise Conflict(f"no free address is left in {field}", hint="use a larger subnet")


def fixed_address(pool: IpamPool | None, address: str, network: str) -> Address:
    """The address that was asked for. Raises StackrError if this network cannot have it."""
    wanted = _parsed(ip_address, address, network)
    if pool is None or wanted not in ip_network(pool.subnet):
        subnet = pool.subnet if pool else f"no IPv{wanted.version}"
        raise StackrError(f"address {address} is not in network {network} ({subnet})")
    if wanted in reserved(pool):
        raise Conflict(f"address {address} is reserved in network {network}")
    return wanted
