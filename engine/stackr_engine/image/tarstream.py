"""Tar archives as a stream of entries, whatever program wrote them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from stackr_engine.image.bytesource import ByteSource
from stackr_engine.image.tarheader import (
    BLOCK,
    BadArchive,
    Header,
    parse_header,
    parse_pax,
    pax_number,
    pax_time,
    pax_xattrs,
)
from stackr_engine.image.tarsparse import Extent, Sparse, check_extents, old_gnu_sparse, pax_sparse

REGULAR = b"0"
HARD_LINK = b"1"
SYMLINK = b"2"
CHARACTER = b"3"
BLOCK_DEVICE = b"4"
FOLDER = b"5"
FIFO = b"6"
_AS_REGULAR = {b"\0": REGULAR, b"7": REGULAR, b"S": REGULAR}
_KNOWN = {REGULAR, HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, FOLDER, FIFO}

_MAX_EXTENDED = 1 << 20
"""Bytes of one extended header: attributes of 64 KiB each, and names."""
_MAX_NAME = 4096
"""PATH_MAX: no longer name can be used on Linux."""


@dataclass(slots=True)
class TarEntry:
    """One entry; its data is read from the archive before the next entry is asked for."""

    name: bytes
    type: bytes
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int
    """Bytes of the file as it will be."""
    link: bytes
    major: int
    minor: int
    data_size: int
    """Bytes in the archive."""
    extents: list[Extent] | None = None
    xattrs: dict[bytes, bytes] = field(default_factory=dict)


class TarStream:
    """Reads entries one after the other."""

    def __init__(self, source: ByteSource):
        self._source = source
        self._left = 0
        self._global: dict[bytes, bytes] = {}

    def __iter__(self) -> Iterator[TarEntry]:
        """Give every entry; data that was not read is passed over."""
        while (entry := self._next()) is not None:
            padding = -entry.data_size % BLOCK
            self._left = entry.data_size
            yield entry
            self._source.skip(self._left + padding)

    def data(self) -> Iterator[memoryview]:
        """Give what is left of the current entry's data."""
        size, self._left = self._left, 0
        return self._source.pieces(size)

    def take(self, size: int) -> Iterator[memoryview]:
        """Give the next `size` bytes of the current entry's data."""
        self._left -= size
        return self._source.pieces(size)

    def _next(self) -> TarEntry | None:
        records: dict[bytes, bytes] = {}
        name = link = b""
        while (header := parse_header(self._source.take(BLOCK))) is not None:
            if header.size < 0:
                raise BadArchive(f"{header.name!r} has a negative size")
            match header.type:
                case b"x":
                    records = parse_pax(self._extended(header))
                case b"g":
                    self._global |= parse_pax(self._extended(header))
                case b"L":
                    name = self._extended(header).partition(b"\0")[0]
                case b"K":
                    link = self._extended(header).partition(b"\0")[0]
                case _:
                    header.name, header.link = name or header.name, link or header.link
                    return self._entry(header, self._global | records)
        if records or name or link:
            raise BadArchive("the archive ends after an extended header")
        return None

    def _extended(self, header: Header) -> bytes:
        if header.size > _MAX_EXTENDED:
            raise BadArchive(f"an extended header of {header.size} bytes is too long")
        data = self._source.take(header.size)
        self._source.skip(-header.size % BLOCK)
        return data

    def _entry(self, header: Header, records: dict[bytes, bytes]) -> TarEntry:
        kind = _AS_REGULAR.get(header.type, header.type)
        if header.type == b"\0" and header.name.endswith(b"/"):
            kind = FOLDER  # before 1988 there was no type for it
        if kind not in _KNOWN:
            raise BadArchive(f"{header.name!r} is of the unknown type {header.type!r}")
        entry = TarEntry(
            header.name, kind, header.mode, header.uid, header.gid, header.mtime_ns,
            header.size if kind == REGULAR else 0, header.link, header.major, header.minor,
            header.size if kind == REGULAR else 0,
        )  # fmt: skip
        if records:
            _apply(records, entry)
        self._read_map(header, records, entry)
        if len(entry.name) > _MAX_NAME or len(entry.link) > _MAX_NAME:
            raise BadArchive(f"the name {entry.name[:60]!r}… is longer than {_MAX_NAME} bytes")
        if b"\0" in entry.name or b"\0" in entry.link:
            raise BadArchive(f"the name {entry.name[:60]!r} has a zero byte in it")
        return entry

    def _read_map(self, header: Header, records: dict[bytes, bytes], entry: TarEntry) -> None:
        sparse: Sparse | None = None
        if header.type == b"S":
            sparse = old_gnu_sparse(header.block, self._source)
        elif entry.type == REGULAR and records:
            sparse = pax_sparse(records, self._source)
        if sparse is not None:
            entry.data_size -= sparse.map_size
            check_extents(sparse, entry.data_size)
            entry.size, entry.extents = sparse.size, sparse.extents


def _apply(records: dict[bytes, bytes], entry: TarEntry) -> None:
    """Let an extended header's records stand for what the header says."""
    entry.name = records.get(b"GNU.sparse.name") or records.get(b"path") or entry.name
    entry.link = records.get(b"linkpath", entry.link)
    if b"uid" in records:
        entry.uid = pax_number(records[b"uid"])
    if b"gid" in records:
        entry.gid = pax_number(records[b"gid"])
    if b"mtime" in records:
        entry.mtime_ns = pax_time(records[b"mtime"])
    if b"size" in records and entry.type == REGULAR:
        entry.size = entry.data_size = pax_number(records[b"size"])
    entry.xattrs = pax_xattrs(records)
