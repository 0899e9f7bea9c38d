"""What links, addresses and routes exist, read from the kernel."""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

from stackr_engine.network.link import (
    IFA_ADDRESS,
    IFA_LOCAL,
    IFADDR,
    IFF_UP,
    IFINFO,
    IFLA_ADDRESS,
    IFLA_IFALIAS,
    IFLA_IFNAME,
    IFLA_MASTER,
    RTA_DST,
    RTM_GETADDR,
    RTM_GETLINK,
    RTM_GETROUTE,
    RTMSG,
    Interface,
)
from stackr_engine.network.netlink import NetlinkSocket, attributes_of

Subnet = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Link:
    """One link as the kernel tells it."""

    index: int
    name: str
    is_up: bool
    master: int
    alias: str
    mac: str


def links(route: NetlinkSocket) -> list[Link]:
    """All links of the socket's namespace."""
    found = []
    for body in route.dump(RTM_GETLINK, IFINFO.pack(0, 0, 0, 0, 0)):
        _, _, index, flags, _ = IFINFO.unpack_from(body)
        attrs = attributes_of(body, IFINFO.size)
        master = struct.unpack("=I", attrs.get(IFLA_MASTER, b"\0\0\0\0"))[0]
        name, alias = (
            attrs.get(key, b"").rstrip(b"\0").decode() for key in (IFLA_IFNAME, IFLA_IFALIAS)
        )
        mac = attrs.get(IFLA_ADDRESS, b"").hex(":")
        found.append(Link(index, name, bool(flags & IFF_UP), master, alias, mac))
    return found


def addresses(route: NetlinkSocket) -> list[tuple[int, Interface]]:
    """All addresses of the socket's namespace with their links' indices."""
    found: list[tuple[int, Interface]] = []
    for body in route.dump(RTM_GETADDR, IFADDR.pack(0, 0, 0, 0, 0)):
        _, prefix, _, _, index = IFADDR.unpack_from(body)
        attrs = attributes_of(body, IFADDR.size)
        raw = attrs.get(IFA_LOCAL) or attrs[IFA_ADDRESS]
        kind = IPv4Interface if len(raw) == 4 else IPv6Interface
        found.append((index, kind((raw, prefix))))
    return found


def routed_subnets(route: NetlinkSocket) -> Iterator[Subnet]:
    """The destinations of all routes but the default ones."""
    for family, subnet in ((socket.AF_INET, IPv4Network), (socket.AF_INET6, IPv6Network)):
        for body in route.dump(RTM_GETROUTE, RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)):
            length = body[1]
            destination = attributes_of(body, RTMSG.size).get(RTA_DST)
            if destination and length:
                yield subnet((destination, length), strict=False)
