"""Firewalls of others (Docker, ufw, …) that drop what they do not know: let ours pass.

Every base chain of a hook must accept a packet, so rules of our own cannot undo a drop in the
`filter` table that iptables-nft keeps. What is let pass there still has to pass our `forward`.
"""

import errno
import struct
from dataclasses import dataclass

from stackr_engine.network.expression import ACCEPT, Meta, compare, expression, meta, verdict
from stackr_engine.network.netlink import Message, NetlinkSocket, attribute, attributes_of, text
from stackr_engine.network.nftables import (
    DELRULE,
    GETCHAIN,
    GETRULE,
    SUBSYSTEM,
    Family,
    Hook,
    Table,
    commit,
)

FAMILIES = (Family.IPV4, Family.IPV6)
DROP = struct.pack(">I", 0)
USER_CHAIN = "DOCKER-USER"
"""Docker makes its own chain anew when it starts, and keeps this one."""


@dataclass(frozen=True, slots=True)
class ForeignChain:
    """A chain of a `filter` table and the handles of the rules in it that carry our mark."""

    family: Family
    name: str
    ours: tuple[bytes, ...] = ()


def _strings(attributes: dict[int, bytes], *kinds: int) -> list[str]:
    return [attributes.get(kind, b"").rstrip(b"\0").decode() for kind in kinds]


def _chain(netfilter: NetlinkSocket, family: Family) -> str | None:
    """The chain in which to let ours pass; None if nothing is dropped by default."""
    policies: dict[str, bytes] = {}
    for body in netfilter.dump(SUBSYSTEM << 8 | GETCHAIN, struct.pack(">BBH", family, 0, 0)):
        attributes = attributes_of(body, 4)
        table, name = _strings(attributes, 1, 3)
        if table == "filter":
            policies[name] = attributes.get(5, b"")
            hook = attributes_of(attributes.get(4, b"")).get(1)
            if hook is not None and struct.unpack(">I", hook)[0] != Hook.FORWARD:
                del policies[name]
    if policies.get("FORWARD") != DROP:
        return None
    return USER_CHAIN if USER_CHAIN in policies else "FORWARD"


def _marked(netfilter: NetlinkSocket, mark: bytes) -> list[ForeignChain]:
    """The chains of others that have rules of ours."""
    found: dict[tuple[Family, str], list[bytes]] = {}
    for family in FAMILIES:
        for body in netfilter.dump(SUBSYSTEM << 8 | GETRULE, struct.pack(">BBH", family, 0, 0)):
            attributes = attributes_of(body, 4)
            table, name = _strings(attributes, 1, 2)
            if table == "filter" and attributes.get(7) == mark:
                found.setdefault((family, name), []).append(attributes[3])
    return [ForeignChain(family, name, tuple(ours)) for (family, name), ours in found.items()]


def _mark(instance: str) -> bytes:
    comment = f"{instance} networks".encode() + b"\0"
    return bytes([0, len(comment)]) + comment


def _passes(key: Meta, prefix: str) -> list[bytes]:
    # A name compared without its end matches every name that begins so: `-i sk1234+`.
    counter = expression("counter")
    return [meta(key), compare(prefix.encode()), counter, verdict(ACCEPT)]


def _insert(family: Family, chain: str, prefixes: list[str], mark: bytes) -> list[Message]:
    table = Table("filter", family)
    rules = [_passes(key, p) for p in prefixes for key in (Meta.IIFNAME, Meta.OIFNAME)]
    return [table.insert_rule(chain, rule, attribute(7, mark)) for rule in rules]


def _remove(chain: ForeignChain) -> list[Message]:
    header = struct.pack(">BBH", chain.family, 0, 0)
    place = header + text(1, "filter") + text(2, chain.name)
    return [
        Message(SUBSYSTEM << 8 | DELRULE, 0, place + attribute(3, handle), "remove our rule", GONE)
        for handle in chain.ours
    ]


GONE = (errno.ENOENT,)


def let_pass(netfilter: NetlinkSocket, instance: str, prefixes: list[str]) -> None:
    """Let traffic of interfaces with these beginnings pass where others drop by default.

    No prefixes: remove what was let pass. Rules that are right already stay untouched.
    """
    mark = _mark(instance)
    marked = {(chain.family, chain.name): chain for chain in _marked(netfilter, mark)}
    wanted = {(family, name) for family in FAMILIES if (name := _chain(netfilter, family))}
    messages: list[Message] = []
    for key, chain in marked.items():
        if not prefixes or key not in wanted or len(chain.ours) != 2 * len(prefixes):
            messages += _remove(chain)
    for family, name in wanted if prefixes else ():
        there = marked.get((family, name))
        if there is None or len(there.ours) != 2 * len(prefixes):
            messages += _insert(family, name, prefixes, mark)
    commit(netfilter, messages)
