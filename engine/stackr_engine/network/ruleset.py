"""Our nftables rules: they stay the same, what changes are elements of sets and maps.

A packet's way: `publish` translates a host port to a container's, `forward` keeps networks
apart, `postrouting` hides containers behind the host's address. Names as in `nft list ruleset`.
"""

import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_address, ip_network

from stackr_engine.network.expression import (
    ACCEPT,
    DROP,
    JUMP,
    RETURN,
    STATE_ESTABLISHED,
    STATE_RELATED,
    STATUS_DNAT,
    Meta,
    address_is_local,
    compare,
    ct_state,
    ct_status,
    dnat,
    in_interfaces,
    mapped,
    masquerade,
    member,
    meta,
    payload,
    protocol_family,
    verdict,
)
from stackr_engine.network.netlink import Message
from stackr_engine.network.nftables import NAT, Chain, Element, Family, Hook, Set, Table, Type

DSTNAT, SRCNAT, RAW, FILTER_PRIORITY = -100, 100, -300, 0
NETWORK, TRANSPORT = 1, 2
V4, V6 = Family.IPV4, Family.IPV6
SOURCE, DESTINATION = 12, 16
"""Where the addresses are in an IPv4 header."""
LOOPBACK = bytes([127])
PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}

SETS = (
    Set("bridges", (Type.NAME,)),
    Set("internal", (Type.NAME,)),
    Set("uplinks4", (Type.NAME,)),
    Set("uplinks6", (Type.NAME,)),
    Set("talking", (Type.NAME, Type.NAME)),
    Set("hidden4", (Type.IPV4,), is_interval=True),
    Set("hidden6", (Type.IPV6,), is_interval=True),
    Set("ours4", (Type.IPV4,), is_interval=True),
    Set("ours6", (Type.IPV6,), is_interval=True),
    Set("port4", (Type.PROTOCOL, Type.PORT), (Type.IPV4, Type.PORT)),
    Set("port6", (Type.PROTOCOL, Type.PORT), (Type.IPV6, Type.PORT)),
    Set("port4_at", (Type.PROTOCOL, Type.IPV4, Type.PORT), (Type.IPV4, Type.PORT)),
    Set("port6_at", (Type.PROTOCOL, Type.IPV6, Type.PORT), (Type.IPV6, Type.PORT)),
)


@dataclass(frozen=True, slots=True)
class BridgeRule:
    """What the rules must know of one network's bridge."""

    name: str
    subnets: tuple[str, ...] = ()
    is_internal: bool = False
    is_hidden: bool = True
    """Its containers appear to others with the host's address."""
    can_talk: bool = True
    """Its containers may reach each other."""


@dataclass(frozen=True, slots=True)
class PortRule:
    """One translation; no `host_ip` or an unspecified one stands for every address of the host."""

    protocol: str
    host_ip: str
    host_port: int
    ip: str
    port: int


Elements = dict[str, list[Element]]


def _interface(name: str) -> bytes:
    return name.encode().ljust(16, b"\0")


def _interval(subnet: str) -> Element:
    network = ip_network(subnet)
    after = int(network.broadcast_address) + 1
    size = 4 if isinstance(network, IPv4Network) else 16
    end = after.to_bytes(size, "big") if after < 1 << 8 * size else b""
    return Element(network.network_address.packed, end=end)


def bridge_elements(bridge: BridgeRule) -> Elements:
    """Where one bridge stands in the sets."""
    name = _interface(bridge.name)
    found: Elements = {"bridges": [Element(name)]}
    if bridge.can_talk:
        found["talking"] = [Element(name + name)]
    if bridge.is_internal:
        found["internal"] = [Element(name)]
    for subnet in bridge.subnets:
        version = ip_network(subnet).version
        found.setdefault(f"ours{version}", []).append(_interval(subnet))
        if bridge.is_hidden and not bridge.is_internal:
            found.setdefault(f"hidden{version}", []).append(_interval(subnet))
    return found


def port_elements(rule: PortRule) -> Elements:
    """Where one published port stands in the maps."""
    target = ip_address(rule.ip)
    protocol = struct.pack("=B3x", PROTOCOLS[rule.protocol])
    data = target.packed + struct.pack(">H2x", rule.port)
    port = struct.pack(">H2x", rule.host_port)
    if not rule.host_ip or ip_address(rule.host_ip).is_unspecified:
        return {f"port{target.version}": [Element(protocol + port, data)]}
    host = ip_address(rule.host_ip).packed
    return {f"port{target.version}_at": [Element(protocol + host + port, data)]}


def merged(parts: Iterable[Elements]) -> Elements:
    """The elements of many bridges and ports, by set."""
    together: Elements = {}
    for part in parts:
        for name, elements in part.items():
            together.setdefault(name, []).extend(elements)
    return together


def _translate(family: Family) -> list[list[bytes]]:
    """Look up protocol, address and port, then protocol and port, and translate."""
    version, offset, words = (4, DESTINATION, 1) if family is V4 else (6, 24, 4)
    start = [*protocol_family(family), meta(Meta.L4PROTO)]
    exact = [payload(NETWORK, offset, words * 4, 1), payload(TRANSPORT, 2, 2, 1 + words)]
    target = dnat(family, 0, words)
    return [
        [*start, *exact, mapped(f"port{version}_at"), target],
        [*start, payload(TRANSPORT, 2, 2, 1), mapped(f"port{version}"), target],
    ]


def _loopback(offset: int) -> list[bytes]:
    return [*protocol_family(V4), payload(NETWORK, offset, 1), compare(LOOPBACK)]


def _source_in(name: str, family: Family) -> list[bytes]:
    offset, size = (SOURCE, 4) if family is V4 else (8, 16)
    return [*protocol_family(family), payload(NETWORK, offset, size), member(name)]


def _nat_chains() -> list[Chain]:
    to_publish = [*address_is_local(), verdict(JUMP, "publish")]
    # A neighbour on the wire must not reach what is published on 127.0.0.1 only; the host's own
    # connections to 127.0.0.1 were translated in `output` and do not come here again.
    not_loopback = [*_loopback(DESTINATION), verdict(RETURN)]
    to_bridges = in_interfaces(Meta.OIFNAME, "bridges")
    elsewhere = in_interfaces(Meta.OIFNAME, "bridges", of=False)
    hide = [
        [*to_bridges, *address_is_local(source=True), masquerade()],
        *([*_source_in(f"ours{v}", f), *ct_status(STATUS_DNAT), masquerade()] for v, f in BOTH),
        *([*_source_in(f"hidden{v}", f), *elsewhere, masquerade()] for v, f in BOTH),
    ]
    return [
        Chain("publish", [*_translate(V4), *_translate(V6)]),
        Chain("prerouting", [not_loopback, to_publish], Hook.PREROUTING, NAT, DSTNAT),
        Chain("output", [to_publish], Hook.OUTPUT, NAT, DSTNAT),
        Chain("postrouting", hide, Hook.POSTROUTING, NAT, SRCNAT),
    ]


BOTH = ((4, V4), (6, V6))


def _between(name: str, family: Family) -> list[bytes]:
    both = [*in_interfaces(Meta.IIFNAME, name), *in_interfaces(Meta.OIFNAME, name)]
    return [*protocol_family(family), *both]


def _filter_chains() -> list[Chain]:
    from_bridges = in_interfaces(Meta.IIFNAME, "bridges")
    to_bridges = in_interfaces(Meta.OIFNAME, "bridges")
    within = [meta(Meta.IIFNAME), meta(Meta.OIFNAME, 4), member("talking"), verdict(ACCEPT)]
    known = ct_state(STATE_ESTABLISHED | STATE_RELATED)
    forward = [
        within,
        [*in_interfaces(Meta.IIFNAME, "internal"), verdict(DROP)],
        [*in_interfaces(Meta.OIFNAME, "internal"), verdict(DROP)],
        [*to_bridges, *ct_status(STATUS_DNAT), verdict(ACCEPT)],
        [*to_bridges, *known, verdict(ACCEPT)],
        [*to_bridges, verdict(DROP)],
        *([*_between(f"uplinks{v}", f), verdict(DROP)] for v, f in BOTH),
    ]
    # With route_localnet the kernel no longer refuses 127.0.0.0/8 on our bridges, so we do.
    guard = [[*from_bridges, *_loopback(DESTINATION), verdict(DROP)]]
    return [
        Chain("guard", guard, Hook.PREROUTING, priority=RAW),
        Chain("forward", forward, Hook.FORWARD, priority=FILTER_PRIORITY),
    ]


def chains() -> list[Chain]:
    """All our chains with their rules."""
    return [*_filter_chains(), *_nat_chains()]


def add(table: Table, elements: Elements) -> list[Message]:
    """Messages that add elements to their sets."""
    return [item for name, some in elements.items() for item in table.add_elements(name, some)]


def delete(table: Table, elements: Elements) -> list[Message]:
    """Messages that delete elements of their sets."""
    return [item for name, some in elements.items() for item in table.delete_elements(name, some)]


def rebuild(table: Table, elements: Elements) -> list[Message]:
    """Messages that replace whatever is in the table, seen by no packet half-done."""
    sets = [table.add_set(item, number) for number, item in enumerate(SETS, 1)]
    rules = table.add_chains(chains())
    return [table.add(), table.delete(), table.add(), *sets, *rules, *add(table, elements)]


def uplink_elements(version: int, names: Iterable[str]) -> Elements:
    """Interfaces between which nothing was forwarded before we came, and nothing shall be."""
    elements = [Element(_interface(name)) for name in names]
    return {f"uplinks{version}": elements} if elements else {}
