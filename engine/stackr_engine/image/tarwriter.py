"""Writing tar archives: ustar headers, and pax records for what does not fit into them."""

from stackr_engine.image.tarheader import BLOCK
from stackr_engine.image.tarstream import TarEntry

END = bytes(2 * BLOCK)
_MAX_OCTAL_7 = 8**7 - 1
_MAX_OCTAL_11 = 8**11 - 1
_BILLION = 1_000_000_000


def header_of(entry: TarEntry) -> bytes:
    """Return the blocks that come before an entry's data."""
    records = _records_of(entry)
    if not records:
        return _block(entry, entry.type)
    body = b"".join(_record(key, value) for key, value in sorted(records.items()))
    extended = TarEntry(b"PaxHeaders/0", b"x", 0o644, 0, 0, 0, len(body), b"", 0, 0, len(body))
    return _block(extended, b"x") + padded(body) + _block(entry, entry.type)


def padded(data: bytes) -> bytes:
    """Fill up to whole blocks."""
    return data + bytes(-len(data) % BLOCK)


def _records_of(entry: TarEntry) -> dict[bytes, bytes]:
    records = {b"SCHILY.xattr." + name: value for name, value in entry.xattrs.items()}
    if len(entry.name) > 100 or not entry.name.isascii():
        records[b"path"] = entry.name
    if len(entry.link) > 100 or not entry.link.isascii():
        records[b"linkpath"] = entry.link
    if entry.mtime_ns % _BILLION or not 0 <= entry.mtime_ns // _BILLION <= _MAX_OCTAL_11:
        sign, (whole, rest) = "-" * (entry.mtime_ns < 0), divmod(abs(entry.mtime_ns), _BILLION)
        records[b"mtime"] = f"{sign}{whole}.{rest:09}".encode()
    if entry.uid > _MAX_OCTAL_7:
        records[b"uid"] = b"%d" % entry.uid
    if entry.gid > _MAX_OCTAL_7:
        records[b"gid"] = b"%d" % entry.gid
    if entry.data_size > _MAX_OCTAL_11:
        records[b"size"] = b"%d" % entry.data_size
    if not (entry.name + entry.link).isascii() and not _is_utf8(entry.name + entry.link):
        records[b"hdrcharset"] = b"BINARY"
    return records


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def _record(key: bytes, value: bytes) -> bytes:
    """Write `LENGTH KEY=VALUE\\n`, where the length counts its own digits."""
    body = b" " + key + b"=" + value + b"\n"
    length = len(body) + len(str(len(body)))
    length = len(body) + len(str(length))
    return b"%d%s" % (length, body)


def _block(entry: TarEntry, kind: bytes) -> bytes:
    seconds = min(max(entry.mtime_ns // _BILLION, 0), _MAX_OCTAL_11)
    fields = (
        entry.name[:100].ljust(100, b"\0"),
        b"%07o\0" % entry.mode,
        b"%07o\0" % min(entry.uid, _MAX_OCTAL_7),
        b"%07o\0" % min(entry.gid, _MAX_OCTAL_7),
        b"%011o\0" % min(entry.data_size, _MAX_OCTAL_11),
        b"%011o\0" % seconds,
        b" " * 8,
        kind,
        entry.link[:100].ljust(100, b"\0"),
        b"ustar\x0000",
        bytes(64),
        b"%07o\0" % entry.major,
        b"%07o\0" % entry.minor,
        bytes(167),
    )
    block = b"".join(fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]
