"""nftables over netlink, as much of it as our rules need: one batch is one transaction."""

import errno
import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from stackr_engine.network.netlink import (
    NLM_F_CREATE,
    Message,
    NetlinkSocket,
    attribute,
    attributes_of,
    each_attribute,
    nested,
    text,
)

NETLINK_NETFILTER = 12
SUBSYSTEM = 10
BATCH_BEGIN, BATCH_END = 16, 17
NEWTABLE, GETTABLE, DELTABLE, NEWCHAIN, NEWRULE, NEWSET = 0, 1, 2, 3, 6, 9
GETCHAIN, GETRULE, DELRULE = 4, 7, 8
NEWSETELEM, GETSETELEM, DELSETELEM = 12, 13, 14
NLM_F_APPEND = 0x800
LIST_ELEM = 1
SET_CONSTANT, SET_INTERVAL, SET_MAP = 2, 4, 8


class Family(IntEnum):
    """Address families of tables."""

    INET = 1
    IPV4 = 2
    IPV6 = 10


class Hook(IntEnum):
    """Where a base chain hangs."""

    PREROUTING = 0
    INPUT = 1
    FORWARD = 2
    OUTPUT = 3
    POSTROUTING = 4


class Type(IntEnum):
    """Data types that `nft list` names; the kernel only stores them."""

    IPV4 = 7
    IPV6 = 8
    PROTOCOL = 12
    PORT = 13
    NAME = 41


LENGTHS = {Type.IPV4: 4, Type.IPV6: 16, Type.PROTOCOL: 4, Type.PORT: 4, Type.NAME: 16}
"""Bytes in registers: each part of a concatenation fills whole 32-bit registers."""
HOST_BYTE_ORDER = bytes([0, 4]) + struct.pack("=I", 1)
"""What `nft list` needs to show interface names; the kernel keeps it without reading it."""
NAT, FILTER = "nat", "filter"


def be32(kind: int, value: int) -> bytes:
    """One attribute with a number in network byte order."""
    return attribute(kind, struct.pack(">i" if value < 0 else ">I", value))


@dataclass(frozen=True, slots=True)
class Set:
    """A named set of `key` parts, or with `data` a map."""

    name: str
    key: tuple[Type, ...]
    data: tuple[Type, ...] = ()
    is_interval: bool = False


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain; a base chain has `hook`. Rules are lists of expressions."""

    name: str
    rules: Sequence[Sequence[bytes]]
    hook: Hook | None = None
    kind: str = FILTER
    priority: int = 0


def _bits(types: tuple[Type, ...]) -> int:
    number = 0
    for kind in types:
        number = number << 6 | kind
    return number


@dataclass(frozen=True, slots=True)
class Element:
    """One element; `end` closes an interval (first value after it)."""

    key: bytes
    data: bytes = b""
    end: bytes = b""


class Table:
    """Messages for one table; order matters, as in an `nft -f` file."""

    def __init__(self, name: str, family: Family = Family.INET):
        self.name = name
        self.family = family

    def _message(self, kind: int, flags: int, body: bytes, purpose: str) -> Message:
        header = struct.pack(">BBH", self.family, 0, 0)
        where = f"{purpose} in nftables table {self.name}"
        return Message(SUBSYSTEM << 8 | kind, flags, header + body, where)

    def add(self) -> Message:
        """Make the table if it is missing."""
        return self._message(NEWTABLE, NLM_F_CREATE, text(1, self.name), "make")

    def delete(self) -> Message:
        """Delete the table with everything in it."""
        message = self._message(DELTABLE, 0, text(1, self.name), "delete")
        return replace(message, tolerated=(errno.ENOENT,))

    def exists(self, netfilter: NetlinkSocket) -> bool:
        """Tell whether the kernel has this table."""
        failures = netfilter.send([self._message(GETTABLE, 0, text(1, self.name), "get")])
        return not failures

    def add_chain(self, chain: Chain) -> Message:
        """Make a chain without its rules."""
        body = text(1, self.name) + text(3, chain.name)
        if chain.hook is not None:
            body += nested(4, be32(1, chain.hook), be32(2, chain.priority))
            body += be32(5, 1) + text(7, chain.kind)
        return self._message(NEWCHAIN, NLM_F_CREATE, body, f"make chain {chain.name}")

    def add_rule(self, chain: str, expressions: Sequence[bytes]) -> Message:
        """Append a rule."""
        body = text(1, self.name) + text(2, chain) + nested(4, *expressions)
        return self._message(NEWRULE, NLM_F_CREATE | NLM_F_APPEND, body, f"add rule to {chain}")

    def insert_rule(self, chain: str, expressions: Sequence[bytes], mark: bytes) -> Message:
        """Put a rule before all others of a chain; `mark` is its user data."""
        body = text(1, self.name) + text(2, chain) + nested(4, *expressions) + mark
        return self._message(NEWRULE, NLM_F_CREATE, body, f"insert rule into {chain}")

    def add_chains(self, chains: Sequence[Chain]) -> list[Message]:
        """Make chains, then fill them: a rule may jump to any of them."""
        made = [self.add_chain(chain) for chain in chains]
        return made + [self.add_rule(chain.name, rule) for chain in chains for rule in chain.rules]

    def add_set(self, item: Set, number: int) -> Message:
        """Make a set or map; `number` tells the sets of one transaction apart."""
        flags = (SET_MAP if item.data else 0) | (SET_INTERVAL if item.is_interval else 0)
        body = text(1, self.name) + text(2, item.name) + be32(3, flags) + be32(10, number)
        body += be32(4, _bits(item.key)) + be32(5, sum(LENGTHS[part] for part in item.key))
        if item.key == (Type.NAME,):
            body += attribute(13, HOST_BYTE_ORDER)
        if item.data:
            body += be32(6, _bits(item.data)) + be32(7, sum(LENGTHS[part] for part in item.data))
        return self._message(NEWSET, NLM_F_CREATE, body, f"make set {item.name}")

    def _elements(self, name: str, elements: Iterable[Element]) -> bytes:
        packed = []
        for item in elements:
            data = nested(2, attribute(1, item.data)) if item.data else b""
            packed.append(nested(LIST_ELEM, nested(1, attribute(1, item.key)), data))
            if item.end:
                end = nested(1, attribute(1, item.end)) + be32(3, 1)
                packed.append(nested(LIST_ELEM, end))
        return text(1, self.name) + text(2, name) + nested(3, *packed)

    def add_elements(self, name: str, elements: Sequence[Element]) -> list[Message]:
        """Add elements to a set or map, not more at a time than one attribute can hold."""
        parts = [elements[i : i + 400] for i in range(0, len(elements), 400)]
        purpose = f"add elements to {name}"
        flags = NLM_F_CREATE
        return [
            self._message(NEWSETELEM, flags, self._elements(name, part), purpose) for part in parts
        ]

    def delete_elements(self, name: str, elements: Sequence[Element]) -> list[Message]:
        """Delete elements of a set or map."""
        parts = [elements[i : i + 400] for i in range(0, len(elements), 400)]
        purpose = f"delete elements of {name}"
        return [self._message(DELSETELEM, 0, self._elements(name, part), purpose) for part in parts]


def _boundary(kind: int) -> Message:
    return Message(kind, 0, struct.pack(">BBH", 0, 0, SUBSYSTEM), "nftables transaction")


def commit(netfilter: NetlinkSocket, messages: list[Message]) -> None:
    """Apply all messages or none of them. Raises OSError naming what failed first."""
    if messages:
        netfilter.apply([_boundary(BATCH_BEGIN), *messages, _boundary(BATCH_END)])


def netfilter_socket() -> NetlinkSocket:
    """A socket for the calling thread's network namespace."""
    return NetlinkSocket(NETLINK_NETFILTER)


def rule_counts(netfilter: NetlinkSocket, table: Table) -> Counter[str]:
    """How many rules each chain of the table has."""
    header = struct.pack(">BBH", table.family, 0, 0)
    found = Counter[str]()
    for body in netfilter.dump(SUBSYSTEM << 8 | GETRULE, header + text(1, table.name)):
        attributes = attributes_of(body, 4)
        if attributes[1].rstrip(b"\0").decode() == table.name:
            found[attributes[2].rstrip(b"\0").decode()] += 1
    return found


def elements(netfilter: NetlinkSocket, table: Table, name: str) -> set[tuple[bytes, bytes]] | None:
    """Keys and data of a set's elements, an interval's end as a key; None: there is no such set."""
    header = struct.pack(">BBH", table.family, 0, 0)
    place = text(1, table.name) + text(2, name)
    try:
        bodies = netfilter.dump(SUBSYSTEM << 8 | GETSETELEM, header + place)
    except FileNotFoundError:
        return None
    found = set()
    for body in bodies:
        for element in each_attribute(attributes_of(body, 4).get(3, b"")):
            parts = attributes_of(element)
            key, data = (attributes_of(parts.get(kind, b"")).get(1, b"") for kind in (1, 2))
            found.add((key, data))
    return found
