"""Links, addresses and routes as netlink messages; man-page words, no policy."""

import errno
import fcntl
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_address

from stackr_engine.network.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    Message,
    attribute,
    nested,
    text,
    u32,
)

Interface = IPv4Interface | IPv6Interface

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_GETADDR = 20, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 4, 10, 18
IFLA_IFALIAS, IFLA_AF_SPEC, IFLA_GROUP, IFLA_NET_NS_FD = 20, 26, 27, 28
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE = 8, 1
IFLA_BRPORT_MODE, IFLA_BRPORT_ISOLATED = 4, 33
VETH_INFO_PEER = 1
IFF_UP = 1
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_F_NODAD = 1, 2, 4, 2
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY = 1, 4, 5, 6
RT_TABLE_MAIN, RTPROT_BOOT, RTN_UNICAST = 254, 3, 1
SIOCGIFINDEX = 0x8933
IFINFO = struct.Struct("=BxHiII")
IFADDR = struct.Struct("=BBBBi")
RTMSG = struct.Struct("=BBBBBBBBI")
EXISTS = (errno.EEXIST,)
NO_IPV6 = (errno.EAFNOSUPPORT, errno.EOPNOTSUPP)


def mac_bytes(mac: str) -> bytes:
    """Six bytes of `02:42:…`."""
    return bytes.fromhex(mac.replace(":", ""))


def _info(index: int = 0, *, up: bool | None = None) -> bytes:
    change = 0 if up is None else IFF_UP
    return IFINFO.pack(socket.AF_UNSPEC, 0, index, IFF_UP if up else 0, change)


def bridge_add(name: str, mac: str, mtu: int, alias: str) -> list[Message]:
    """Make a bridge that is up; one that exists stays."""
    body = _info(up=True) + text(IFLA_IFNAME, name) + attribute(IFLA_ADDRESS, mac_bytes(mac))
    body += u32(IFLA_MTU, mtu) if mtu else b""
    body += nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "bridge"))
    name_it = _info() + text(IFLA_IFNAME, name) + text(IFLA_IFALIAS, alias)
    return [
        Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, f"make bridge {name}", EXISTS),
        Message(RTM_NEWLINK, 0, name_it, f"name bridge {name}"),
        link_up(name),
    ]


@dataclass(frozen=True, slots=True)
class Veth:
    """A pair: `host` in `bridge` (a link index), `peer` in the namespace `netns` (a descriptor)."""

    host: str
    peer: str
    bridge: int
    netns: int
    mac: str
    mtu: int = 0
    group: int = 0
    isolated: bool = False


def veth_add(veth: Veth) -> list[Message]:
    """Make a pair, the host's end up and in its bridge, the peer already where it belongs."""
    mtu = u32(IFLA_MTU, veth.mtu) if veth.mtu else b""
    peer = _info() + text(IFLA_IFNAME, veth.peer) + u32(IFLA_NET_NS_FD, veth.netns) + mtu
    peer += attribute(IFLA_ADDRESS, mac_bytes(veth.mac))
    data = nested(IFLA_INFO_DATA, nested(VETH_INFO_PEER, peer))
    body = _info() + text(IFLA_IFNAME, veth.host) + mtu
    body += u32(IFLA_GROUP, veth.group) if veth.group else b""
    body += nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "veth"), data)
    # No link-local address on a bridge's port: nothing talks to it, and each one costs
    # duplicate address detection and multicast reports.
    quiet = _info() + text(IFLA_IFNAME, veth.host) + no_link_local()
    purpose = f"make veth {veth.host} with {veth.peer}"
    return [
        Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, purpose),
        Message(RTM_NEWLINK, 0, quiet, f"keep {veth.host} without link-local address", NO_IPV6),
        *bridge_join(veth.host, veth.bridge, isolated=veth.isolated),
    ]


def bridge_join(name: str, bridge: int, *, isolated: bool) -> list[Message]:
    """Put a link into a bridge (an index), up; `isolated` ports do not reach each other."""
    join = _info(up=True) + text(IFLA_IFNAME, name) + u32(IFLA_MASTER, bridge)
    # Hairpin: with bridge-nf-call-iptables a container that calls its own published port is
    # translated inside the bridge and its frame must leave through the port it came from.
    port = attribute(IFLA_BRPORT_MODE, b"\1") + attribute(IFLA_BRPORT_ISOLATED, bytes([isolated]))
    kind = text(IFLA_INFO_SLAVE_KIND, "bridge")
    slave = nested(IFLA_LINKINFO, kind, nested(IFLA_INFO_SLAVE_DATA, port))
    return [
        Message(RTM_NEWLINK, 0, join, f"put {name} into its bridge"),
        Message(RTM_NEWLINK, 0, _info() + text(IFLA_IFNAME, name) + slave, f"set up port {name}"),
    ]


def no_link_local() -> bytes:
    """The attribute that stops the kernel from making fe80:: addresses."""
    mode = attribute(IFLA_INET6_ADDR_GEN_MODE, bytes([IN6_ADDR_GEN_MODE_NONE]))
    return nested(IFLA_AF_SPEC, nested(socket.AF_INET6, mode))


def link_up(name: str) -> Message:
    """Set a link up by its name."""
    body = _info(up=True) + text(IFLA_IFNAME, name)
    return Message(RTM_NEWLINK, 0, body, f"set {name} up")


def link_down(name: str) -> Message:
    """Set a link down by its name."""
    body = _info(up=False) + text(IFLA_IFNAME, name)
    return Message(RTM_NEWLINK, 0, body, f"set {name} down")


def link_delete(name: str) -> Message:
    """Delete a link; one that is gone is no failure."""
    body = _info() + text(IFLA_IFNAME, name)
    return Message(RTM_DELLINK, 0, body, f"delete link {name}", (errno.ENODEV,))


def address_add(index: int, address: Interface) -> Message:
    """Give a link an address; one it has already stays."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    flags = 0 if address.version == 4 else IFA_F_NODAD
    body = IFADDR.pack(family, address.network.prefixlen, flags, 0, index)
    body += attribute(IFA_LOCAL, address.packed) + attribute(IFA_ADDRESS, address.packed)
    if address.version == 4 and address.network.prefixlen < 31:
        body += attribute(IFA_BROADCAST, address.network.broadcast_address.packed)
    purpose = f"add address {address}"
    return Message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body, purpose, EXISTS)


def default_route(index: int, gateway: str) -> Message:
    """Send what has no other route through `gateway`; replaces an older default route."""
    address = ip_address(gateway)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    body = RTMSG.pack(family, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, 0, RTN_UNICAST, 0)
    body += attribute(RTA_GATEWAY, address.packed) + u32(RTA_OIF, index)
    flags = NLM_F_CREATE | NLM_F_REPLACE
    return Message(RTM_NEWROUTE, flags, body, f"route by default through {gateway}")


def link_index(name: str, within: socket.socket) -> int:
    """The link's index in the namespace of the socket `within`; 0 if there is no such link."""
    request = struct.pack("16si12x", name.encode(), 0)
    try:
        answer = fcntl.ioctl(within, SIOCGIFINDEX, request)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        return 0
    return int(struct.unpack_from("i", answer, 16)[0])
