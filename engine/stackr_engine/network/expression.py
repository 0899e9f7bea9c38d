"""nftables expressions, the steps that a rule is made of, in the words of `nft --debug=netlink`."""

import struct
from enum import IntEnum

from stackr_engine.network.netlink import attribute, nested, text
from stackr_engine.network.nftables import LIST_ELEM, be32

REG32 = 8
"""The first of the 32-bit registers; `REG32 + n` is the n-th word."""
DROP, ACCEPT, JUMP, GOTO, RETURN = 0, 1, -3, -4, -5
STATUS_DNAT = 1 << 5
STATE_ESTABLISHED, STATE_RELATED = 1 << 1, 1 << 2
RTN_LOCAL = 2


class Meta(IntEnum):
    """Facts beside the packet's bytes."""

    IIFNAME = 6
    OIFNAME = 7
    NFPROTO = 15
    L4PROTO = 16


def expression(name: str, *attributes: bytes) -> bytes:
    """One step of a rule."""
    return nested(LIST_ELEM, text(1, name), nested(2, *attributes))


def meta(key: Meta, word: int = 0) -> bytes:
    """Load a fact into a register."""
    return expression("meta", be32(1, REG32 + word), be32(2, key))


def compare(value: bytes, word: int = 0, *, equal: bool = True) -> bytes:
    """Go on if a register holds `value`."""
    data = nested(3, attribute(1, value))
    return expression("cmp", be32(1, REG32 + word), be32(2, 0 if equal else 1), data)


def payload(base: int, offset: int, length: int, word: int = 0) -> bytes:
    """Load bytes of the network (1) or transport (2) header."""
    return expression(
        "payload", be32(1, REG32 + word), be32(2, base), be32(3, offset), be32(4, length)
    )


def member(name: str, word: int = 0, *, of: bool = True) -> bytes:
    """Go on if registers hold a key of a set (or, with `of=False`, none)."""
    flags = b"" if of else be32(5, 1)
    return expression("lookup", text(1, name), be32(2, REG32 + word), flags)


def mapped(name: str, word: int = 0, to: int = 0) -> bytes:
    """Go on if registers hold a key of a map, with its data in registers."""
    return expression("lookup", text(1, name), be32(2, REG32 + word), be32(3, REG32 + to))


def address_is_local(*, source: bool = False) -> list[bytes]:
    """Go on if the packet's destination (or source) is an address of this host."""
    fib = expression("fib", be32(1, REG32), be32(2, 3), be32(3, 1 if source else 2))
    return [fib, compare(struct.pack("=I", RTN_LOCAL))]


def _ct_bits(key: int, bits: int) -> list[bytes]:
    load = expression("ct", be32(1, REG32), be32(2, key))
    mask = nested(4, attribute(1, struct.pack("=I", bits)))
    zero = nested(5, attribute(1, bytes(4)))
    keep = expression("bitwise", be32(1, REG32), be32(2, REG32), be32(3, 4), mask, zero)
    return [load, keep, compare(bytes(4), equal=False)]


def ct_state(bits: int) -> list[bytes]:
    """Go on if the connection is in one of the states."""
    return _ct_bits(0, bits)


def ct_status(bits: int) -> list[bytes]:
    """Go on if the connection has one of the status bits."""
    return _ct_bits(2, bits)


def verdict(code: int, chain: str = "") -> bytes:
    """End with a verdict, or go to a chain."""
    target = text(2, chain) if chain else b""
    data = nested(2, nested(2, be32(1, code), target))
    return expression("immediate", be32(1, 0), data)


def dnat(family: int, address_word: int, port_word: int) -> bytes:
    """Translate the destination to the address and port in registers."""
    registers = be32(3, REG32 + address_word) + be32(5, REG32 + port_word)
    return expression("nat", be32(1, 1), be32(2, family), registers)


def masquerade() -> bytes:
    """Translate the source to the address of the interface that the packet leaves by."""
    return expression("masq")


def interface(key: Meta, name: str, *, equal: bool = True) -> list[bytes]:
    """Go on if a packet's interface has (or has not) this name."""
    return [meta(key), compare(name.encode().ljust(16, b"\0"), equal=equal)]


def in_interfaces(key: Meta, name: str, *, of: bool = True) -> list[bytes]:
    """Go on if a packet's interface is (or is not) in a set of names."""
    return [meta(key), member(name, of=of)]


def protocol_family(family: int) -> list[bytes]:
    """Go on if the packet is of this family."""
    return [meta(Meta.NFPROTO), compare(bytes([family]))]


def immediate(value: bytes, word: int) -> bytes:
    """Put a value into a register."""
    return expression("immediate", be32(1, REG32 + word), nested(2, attribute(1, value)))
