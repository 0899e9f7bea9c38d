"""DNS messages, as much of RFC 1035 as answering for names of containers takes.

Standard library only, and little of it: the resolver is a process of its own.
"""

import struct

A, PTR, AAAA, OPT, ANY = 1, 12, 28, 41, 255
INTERNET = 1
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 2, 3, 4, 5
RESPONSE, TRUNCATED, RECURSION_DESIRED, RECURSION_AVAILABLE = 0x8000, 0x0200, 0x0100, 0x0080
OPCODE = 0x7800
HEADER = struct.Struct(">HHHHHH")
OWNER = b"\xc0\x0c"
"""A pointer to the question's name."""
TTL = 5
"""Seconds: containers come and go, and asking again costs microseconds."""
PLAIN_LIMIT = 512
OUR_LIMIT = 1232


class Malformed(Exception):
    """The message is not a query that can be answered; `rcode` says how to refuse it."""

    def __init__(self, rcode: int):
        super().__init__(rcode)
        self.rcode = rcode


class Query:
    """One question: `name` in lower case without the last dot, `question` as it was sent."""

    __slots__ = ("flags", "id", "kind", "limit", "name", "question")

    def __init__(self, message: bytes):
        try:
            self._read(message)
        except (struct.error, IndexError, UnicodeDecodeError):
            raise Malformed(FORMERR) from None

    def _read(self, message: bytes) -> None:
        self.id, self.flags, questions, _, _, additional = HEADER.unpack_from(message)
        if self.flags & OPCODE:
            raise Malformed(NOTIMP)
        if self.flags & RESPONSE or questions != 1:
            raise Malformed(FORMERR)
        labels = []
        offset = HEADER.size
        while length := message[offset]:
            if length > 63:
                raise Malformed(FORMERR)
            labels.append(message[offset + 1 : offset + 1 + length])
            offset += 1 + length
        self.name = b".".join(labels).decode("latin-1").lower()
        self.kind, kind_of_network = struct.unpack_from(">HH", message, offset + 1)
        if kind_of_network != INTERNET:
            raise Malformed(NOTIMP)
        self.question = message[HEADER.size : offset + 5]
        self.limit = _payload_size(message, offset + 5) if additional else 0


def _payload_size(message: bytes, offset: int) -> int:
    """What an EDNS record right after the question says (RFC 6891), else 0."""
    if message[offset] or struct.unpack_from(">H", message, offset + 1)[0] != OPT:
        return 0
    return max(PLAIN_LIMIT, int(struct.unpack_from(">H", message, offset + 3)[0]))


def question_of(message: bytes) -> bytes:
    """The bytes of the first question, as written in a query or an answer to it."""
    offset = HEADER.size
    while message[offset]:
        offset += 1 + message[offset]
    return message[HEADER.size : offset + 5]


def _reply(query: Query, rcode: int, records: list[bytes], flags: int = 0) -> bytes:
    keep = query.flags & (OPCODE | RECURSION_DESIRED)
    edns = b"\0" + struct.pack(">HHIH", OPT, OUR_LIMIT, 0, 0) if query.limit else b""
    header = HEADER.pack(
        query.id,
        RESPONSE | RECURSION_AVAILABLE | keep | flags | rcode,
        1,
        len(records),
        0,
        1 if edns else 0,
    )
    return header + query.question + b"".join(records) + edns


def _record(kind: int, data: bytes) -> bytes:
    return OWNER + struct.pack(">HHIH", kind, 1, TTL, len(data)) + data


def answer(query: Query, values: list[bytes], limit: int = 0) -> bytes:
    """Answer with addresses or names; cut and marked so if it is longer than `limit` bytes."""
    records = [_record(query.kind, value) for value in values]
    message = _reply(query, NOERROR, records)
    if limit and len(message) > limit:
        room = (limit - len(_reply(query, NOERROR, []))) // len(records[0])
        return _reply(query, NOERROR, records[: max(0, room)], TRUNCATED)
    return message


def refusal(query: Query, rcode: int) -> bytes:
    """Answer that there is nothing, or that it went wrong."""
    return _reply(query, rcode, [])


def malformed(message: bytes, rcode: int) -> bytes:
    """Answer to what is not a query; empty if it does not even have an id, or is an answer."""
    if len(message) < HEADER.size or message[2] & 0x80:
        return b""
    return message[:2] + struct.pack(">HHHHH", RESPONSE | rcode, 0, 0, 0, 0)


def name_data(name: str) -> bytes:
    """A domain name as it stands in a PTR record."""
    labels = [label.encode("latin-1")[:63] for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def reverse_address(name: str) -> bytes | None:
    """The packed address that `4.3.2.1.in-addr.arpa` or `….ip6.arpa` asks for."""
    labels = name.split(".")
    try:
        if labels[-2:] == ["in-addr", "arpa"] and len(labels) == 6:
            return bytes(int(label) for label in labels[3::-1])
        if labels[-2:] == ["ip6", "arpa"] and len(labels) == 34:
            return bytes.fromhex("".join(labels[31::-1]))
    except ValueError:
        return None
    return None
