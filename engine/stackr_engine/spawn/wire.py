"""Messages between processes: a length, JSON or bytes, and file descriptors.

`_json` and `_socket` are the C halves of json and socket: the Python halves import re, enum and
selectors, which would be 80 KB of memory in every shim.
"""

from __future__ import annotations

import _json
import _socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_FDS = 32
_LIMIT = 64 * 1024 * 1024


class _Scanning:
    strict = True
    object_hook = object_pairs_hook = parse_constant = None
    parse_float = float
    parse_int = int
    memo: dict[str, str] = {}  # noqa: RUF012 (the scanner insists on this attribute)


_scan = _json.make_scanner(_Scanning)  # type: ignore[arg-type]
_encode = _json.make_encoder(
    None,
    None,  # type: ignore[arg-type]
    _json.encode_basestring_ascii,
    None,
    ":",
    ",",
    False,
    False,
    True,
)


def to_json(value: Any) -> bytes:
    """Encode plain dicts, lists, strings, numbers, booleans and None."""
    return "".join(_encode(value, 0)).encode()


def from_json(text: bytes) -> Any:
    """Decode one JSON value."""
    return _scan(text.decode(), 0)[0]


def send(sock: _socket.socket, payload: bytes, fds: tuple[int, ...] = ()) -> None:
    """Send one message with descriptors."""
    data = len(payload).to_bytes(4, "big") + payload
    rights = b"".join(fd.to_bytes(4, "little") for fd in fds)
    ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)] if fds else []
    sent = sock.sendmsg([data], ancillary, _socket.MSG_NOSIGNAL)
    if sent < len(data):
        sock.sendall(data[sent:], _socket.MSG_NOSIGNAL)


def receive(sock: _socket.socket) -> tuple[bytes, list[int]]:
    """Receive one message with its descriptors (close-on-exec); raise EOFError at the end."""
    space = _socket.CMSG_SPACE(MAX_FDS * 4)
    head, ancillary, _, _ = sock.recvmsg(4, space, _socket.MSG_CMSG_CLOEXEC)
    fds = descriptors(ancillary)
    head += _exactly(sock, 4 - len(head)) if head else b""
    if not head:
        raise EOFError
    return _exactly(sock, min(int.from_bytes(head, "big"), _LIMIT)), fds


def descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    """List the descriptors in what recvmsg() returned."""
    rights = [
        data
        for level, kind, data in ancillary
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS)
    ]
    return [
        int.from_bytes(data[at : at + 4], "little")
        for data in rights
        for at in range(0, len(data) - len(data) % 4, 4)
    ]


def _exactly(sock: _socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = sock.recv(min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
