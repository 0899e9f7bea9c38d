"""127.0.0.11:53 of a container leads to our sockets, while port 53 stays free for its own use."""

import socket
import struct
from pathlib import Path

from stackr_engine.network import namespace
from stackr_engine.network.conntrack import forget_udp
from stackr_engine.network.expression import Meta, compare, dnat, immediate, meta, payload
from stackr_engine.network.nftables import (
    NAT,
    Chain,
    Family,
    Hook,
    Table,
    commit,
    netfilter_socket,
)

ADDRESS = "127.0.0.11"
TABLE = Table("stackr-dns", Family.IPV4)
DSTNAT = -100


def _rule(protocol: int, port: int) -> list[bytes]:
    address = socket.inet_aton(ADDRESS)
    return [
        *(meta(Meta.L4PROTO), compare(bytes([protocol]))),
        *(payload(1, 16, 4), compare(address)),
        *(payload(2, 2, 2), compare(struct.pack(">H", 53))),
        *(immediate(address, 0), immediate(struct.pack(">H", port), 1)),
        dnat(Family.IPV4, 0, 1),
    ]


def open_sockets(path: Path) -> tuple[socket.socket, socket.socket]:
    """A UDP and a listening TCP socket in the namespace at `path`, with port 53 led to them."""
    with namespace.entered(path):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            udp.bind((ADDRESS, 0))
            tcp.bind((ADDRESS, 0))
            tcp.listen(64)
            rules = [
                _rule(socket.IPPROTO_UDP, udp.getsockname()[1]),
                _rule(socket.IPPROTO_TCP, tcp.getsockname()[1]),
            ]
            chain = Chain("output", rules, Hook.OUTPUT, NAT, DSTNAT)
            with netfilter_socket() as netfilter:
                # Deleting a table costs 8 ms; it is there only if an earlier resolver was killed.
                is_again = TABLE.exists(netfilter)
                old = [TABLE.delete()] if is_again else []
                commit(netfilter, [*old, TABLE.add(), *TABLE.add_chains([chain])])
                if is_again:
                    # A client that keeps its socket, as nginx does, would go on to the old port.
                    forget_udp(netfilter, 53)
        except BaseException:
            udp.close()
            tcp.close()
            raise
    return udp, tcp
