"""A stream of chunks, read in the sizes that its reader wants, without copying the large ones."""

from collections.abc import Iterator

from stackr_engine.image.tarheader import BadArchive

_MAX_TAIL = 64 << 20
"""Bytes of padding behind an archive's end; writers pad to 10 KiB, some to a few MiB."""


class Truncated(BadArchive):
    """The stream ended before its content did."""


class ByteSource:
    """Takes bytes from an iterator of chunks."""

    def __init__(self, chunks: Iterator[bytes]):
        self._chunks = chunks
        self._chunk = memoryview(b"")
        self._at = 0

    def take(self, size: int) -> bytes:
        """Return exactly `size` bytes."""
        end = self._at + size
        if end <= len(self._chunk):
            start, self._at = self._at, end
            return bytes(self._chunk[start:end])
        return b"".join(self.pieces(size))

    def pieces(self, size: int) -> Iterator[memoryview]:
        """Give exactly `size` bytes, in the pieces in which they come."""
        while size:
            if self._at == len(self._chunk):
                self._next()
            piece = self._chunk[self._at : self._at + size]
            self._at += len(piece)
            size -= len(piece)
            yield piece

    def skip(self, size: int) -> None:
        """Pass over exactly `size` bytes."""
        for _ in self.pieces(size):
            pass

    def drain(self) -> None:
        """Read to the end: a digest is over all bytes, also those behind the archive's end."""
        size = len(self._chunk) - self._at
        for chunk in self._chunks:
            size += len(chunk)
            if size > _MAX_TAIL:
                raise BadArchive("the archive goes on without end behind its last entry")
        self._at = len(self._chunk)

    def is_at_end(self) -> bool:
        """Tell whether no byte is left."""
        try:
            if self._at == len(self._chunk):
                self._next()
        except Truncated:
            return True
        return False

    def _next(self) -> None:
        for chunk in self._chunks:
            if chunk:
                self._chunk, self._at = memoryview(chunk), 0
                return
        raise Truncated("it ends too early")
