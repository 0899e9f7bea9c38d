"""gzip, zstd or plain, told apart by the first bytes, never by what a media type claims."""

import itertools
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from stackr_engine.image.tarheader import BadArchive

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_deflate: Any = zlib
try:
    from isal import isal_zlib
except ImportError:  # no wheel for this machine: half as fast
    pass
else:
    _deflate = isal_zlib

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"
_OTHERS = {b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
_GZIP_WINDOW = 31  # zlib's 15 bits, plus 16 for gzip's header
_ZSTD_WINDOW = 27
"""128 MiB, what `zstd -d` takes without being asked: more would let an archive eat the memory."""
_PIECE = 1 << 20
"""Bytes that are unpacked at a time, however well they are compressed."""


class Decompressor(Protocol):
    """One gzip member or one zstd frame."""

    eof: bool
    unused_data: bytes

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give what comes out, in pieces."""


class Gzip:
    """One gzip member."""

    def __init__(self) -> None:
        self._inner = _deflate.decompressobj(_GZIP_WINDOW)
        self.eof = False
        self.unused_data = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give what comes out, in pieces; raise BadArchive where it is damaged."""
        while data:
            try:
                piece = self._inner.decompress(data, _PIECE)
            except _deflate.error as error:
                raise BadArchive(f"the gzip data is damaged: {error}") from error
            data = self._inner.unconsumed_tail
            if piece:
                yield piece
            if self._inner.eof:
                self.eof, self.unused_data = True, self._inner.unused_data
                return


class Zstd:
    """One zstd frame."""

    def __init__(self) -> None:
        options = {int(zstd.DecompressionParameter.window_log_max): _ZSTD_WINDOW}
        self._inner = zstd.ZstdDecompressor(options=options)
        self.eof = False
        self.unused_data = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give what comes out, in pieces; raise BadArchive where it is damaged."""
        while data or not self._inner.needs_input:
            try:
                piece = self._inner.decompress(data, _PIECE)
            except zstd.ZstdError as error:
                raise BadArchive(f"the zstd data is damaged: {error}") from error
            data = b""
            if piece:
                yield piece
            if self._inner.eof:
                self.eof, self.unused_data = True, self._inner.unused_data
                return


def decompressed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Give the plain bytes of a stream that may be compressed."""
    first = _at_least(6, chunks)
    whole = itertools.chain([first], chunks)
    for magic, name in _OTHERS.items():
        if first.startswith(magic):
            raise BadArchive(f"it is compressed with {name}; only gzip and zstd are supported")
    if first.startswith(_GZIP):
        return _inflate(whole, Gzip, "gzip")
    if first.startswith(_ZSTD) or first[1:4] == _SKIPPABLE:
        return _inflate(whole, Zstd, "zstd")
    return whole


def _at_least(size: int, chunks: Iterator[bytes]) -> bytes:
    first = b""
    for chunk in chunks:
        first += chunk
        if len(first) >= size:
            break
    return first


def _inflate(
    chunks: Iterator[bytes], new: Callable[[], Decompressor], name: str
) -> Iterator[bytes]:
    """Unpack members one after the other: several may make up a stream."""
    member: Decompressor | None = None
    for chunk in chunks:
        data = chunk
        while data:
            if member is None:
                data = data.lstrip(b"\0")  # gzip may be padded with zeros at its end
                if not data:
                    break
                member = new()
            yield from member.feed(data)
            data = member.unused_data if member.eof else b""
            member = None if member.eof else member
    if member is not None:
        raise BadArchive(f"the {name} data ends too early")


def compressed(chunks: Iterator[bytes], level: int = 3) -> Iterator[bytes]:
    """Give the gzip form of plain bytes, always the same for the same input."""
    inner = _deflate.compressobj(level, zlib.DEFLATED, _GZIP_WINDOW)
    for chunk in chunks:
        if piece := inner.compress(chunk):
            yield piece
    yield inner.flush()
