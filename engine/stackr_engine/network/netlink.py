"""Netlink messages by `struct`, sent many at a time: one system call, answers only for failures.

The kernel works through a netlink datagram before `sendmsg` returns, and answers a message
without NLM_F_ACK only when it fails; so a batch costs one send and one empty receive.
"""

import os
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass

NLM_F_REQUEST = 1
NLM_F_DUMP = 0x300
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_REPLACE = 0x100
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF
SO_SNDBUFFORCE = 32
HEADER = struct.Struct("=IHHII")
ATTRIBUTE = struct.Struct("=HH")


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    length = 4 + len(payload)
    return ATTRIBUTE.pack(length, kind) + payload + b"\0" * (-length % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """One attribute that holds others."""
    return attribute(kind | NLA_F_NESTED, b"".join(attributes))


def text(kind: int, value: str) -> bytes:
    """One attribute with a string."""
    return attribute(kind, value.encode() + b"\0")


def u32(kind: int, value: int) -> bytes:
    """One attribute with a number in the machine's byte order."""
    return attribute(kind, struct.pack("=I", value))


def _taken_apart(data: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    while offset + 4 <= len(data):
        length, kind = ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            return
        yield kind & NLA_TYPE_MASK, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def attributes_of(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """Take attributes apart; of several of one kind the last stays."""
    return dict(_taken_apart(data, offset))


def each_attribute(data: bytes) -> list[bytes]:
    """The values of a list of attributes."""
    return [value for _, value in _taken_apart(data, 0)]


@dataclass(frozen=True, slots=True)
class Message:
    """One request; `purpose` is for the error, `tolerated` are errno values that are no failure."""

    kind: int
    flags: int
    payload: bytes
    purpose: str
    tolerated: tuple[int, ...] = ()

    def packed(self, sequence: int) -> bytes:
        """The message as the kernel reads it."""
        length = HEADER.size + len(self.payload)
        header = HEADER.pack(length, self.kind, NLM_F_REQUEST | self.flags, sequence, 0)
        return header + self.payload + b"\0" * (-length % 4)


class NetlinkSocket:
    """One netlink socket in the network namespace of the thread that made it."""

    def __init__(self, protocol: int = socket.NETLINK_ROUTE):
        self._lock = threading.Lock()
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, protocol)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 16 << 20)
        self.socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> "NetlinkSocket":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def send(self, messages: list[Message]) -> list[OSError]:
        """Send all messages in one call; return the failures that are not tolerated."""
        if not messages:
            return []
        with self._lock:
            first = self._sequence + 1
            self._sequence += len(messages)
            numbered = (item.packed(first + i) for i, item in enumerate(messages))
            self.socket.send(b"".join(numbered))
            failed = [error for error in self._errors() if 0 <= error[0] - first < len(messages)]
        return [
            OSError(code, os.strerror(code), messages[sequence - first].purpose)
            for sequence, code in failed
            if code not in messages[sequence - first].tolerated
        ]

    def apply(self, messages: list[Message]) -> None:
        """Send all messages and raise the first failure (OSError naming the message's purpose)."""
        for error in self.send(messages):
            raise error

    def _errors(self) -> Iterator[tuple[int, int]]:
        for kind, sequence, payload in self._received(socket.MSG_DONTWAIT):
            if kind == NLMSG_ERROR and (code := -struct.unpack_from("=i", payload)[0]):
                yield sequence, code

    def _received(self, flags: int) -> Iterator[tuple[int, int, bytes]]:
        while True:
            try:
                data = self.socket.recv(1 << 17, flags)
            except BlockingIOError:
                return
            offset = 0
            while offset + HEADER.size <= len(data):
                length, kind, _, sequence, _ = HEADER.unpack_from(data, offset)
                yield kind, sequence, data[offset + HEADER.size : offset + length]
                offset += (length + 3) & ~3

    def dump(self, kind: int, payload: bytes) -> list[bytes]:
        """Ask for all objects of one kind; return their payloads. Raises OSError."""
        with self._lock:
            self._sequence += 1
            request = Message(kind, NLM_F_DUMP, payload, "dump")
            self.socket.send(request.packed(self._sequence))
            found = []
            for answer, sequence, body in self._received(0):
                if sequence != self._sequence:
                    continue
                if answer == NLMSG_DONE:
                    break
                if answer == NLMSG_ERROR:
                    code = -struct.unpack_from("=i", body)[0]
                    raise OSError(code, os.strerror(code), f"netlink dump {kind}")
                found.append(body)
            return found
