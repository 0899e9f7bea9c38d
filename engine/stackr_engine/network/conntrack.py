"""Connections that the kernel remembers and that a change of rules makes wrong."""

import errno
import socket
import struct

from stackr_engine.network.netlink import (
    Message,
    NetlinkSocket,
    attribute,
    attributes_of,
    nested,
)

CTNETLINK = 1 << 8
GET, DELETE = CTNETLINK | 1, CTNETLINK | 2
CTA_TUPLE_ORIG, CTA_ID, CTA_FILTER = 1, 12, 25
CTA_TUPLE_PROTO, CTA_PROTO_NUM, CTA_PROTO_DST_PORT = 2, 1, 3
FILTER_PROTOCOL_AND_PORT = 1 << 3 | 1 << 5


def _orig(port: int) -> bytes:
    number = attribute(CTA_PROTO_NUM, bytes([socket.IPPROTO_UDP]))
    destination = attribute(CTA_PROTO_DST_PORT, struct.pack(">H", port))
    return nested(CTA_TUPLE_ORIG, nested(CTA_TUPLE_PROTO, number, destination))


def _is_to(orig: bytes, port: int) -> bool:
    protocol = attributes_of(attributes_of(orig).get(CTA_TUPLE_PROTO, b""))
    wanted = bytes([socket.IPPROTO_UDP]), struct.pack(">H", port)
    return (protocol.get(CTA_PROTO_NUM), protocol.get(CTA_PROTO_DST_PORT)) == wanted


def forget_udp(netfilter: NetlinkSocket, port: int) -> None:
    """Forget UDP flows to a port of this host.

    A flow is translated by what the rules said at its first datagram, for as long as its client
    keeps sending; without this a client stays with a container that is gone.
    """
    flags = struct.pack("=I", FILTER_PROTOCOL_AND_PORT)
    only = nested(CTA_FILTER, attribute(1, flags), attribute(2, bytes(4)))
    for family in (socket.AF_INET, socket.AF_INET6):
        header = struct.pack(">BBH", family, 0, 0)
        try:
            found = netfilter.dump(GET, header + _orig(port) + only)
        except OSError as error:
            # Kernels before 5.8 know no filter and refuse it.
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
            found = netfilter.dump(GET, header)
        for body in found:
            attributes = attributes_of(body, 4)
            orig = attributes[CTA_TUPLE_ORIG]
            if _is_to(orig, port):
                entry = header + nested(CTA_TUPLE_ORIG, orig)
                if CTA_ID in attributes:
                    entry += attribute(CTA_ID, attributes[CTA_ID])
                gone = (errno.ENOENT,)
                netfilter.apply([Message(DELETE, 0, entry, f"forget flows to {port}", gone)])
