"""The 512-byte headers and extended records of tar archives (POSIX.1-2001 pax, ustar, GNU)."""

import base64
import binascii
import struct
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from stackr_schemas.errors import StackrError

BLOCK = 512
_HEADER = struct.Struct("100s8s8s8s12s12s8s1s100s8s32s32s8s8s155s12s")
_ZEROS = bytes(BLOCK)
_XATTR = b"SCHILY.xattr."
_XATTR_BASE64 = b"LIBARCHIVE.xattr."


class BadArchive(StackrError):
    """The archive breaks the format, or asks for what no honest archive asks for."""


@dataclass(slots=True)
class Header:
    """One header as it stands; names are bytes, as file names are."""

    name: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    type: bytes
    link: bytes
    major: int
    minor: int
    is_gnu: bool
    block: bytes


def parse_header(block: bytes) -> Header | None:
    """Read one header; None for the block of zeros that ends an archive."""
    if block == _ZEROS:
        return None
    fields = _HEADER.unpack(block)
    digits = fields[6].strip(b" \0")
    if not digits.isdigit() or _octal(digits) != sum(block) - sum(fields[6]) + 8 * 0x20:
        raise BadArchive("a header's checksum is wrong: this is not a tar archive, or damaged")
    magic = block[257:263]
    name = _text(fields[0])
    if magic == b"ustar\0" and fields[14][0]:
        name = _text(fields[14]) + b"/" + name
    is_device = fields[7] in b"34"
    return Header(
        name=name,
        mode=_number(fields[1]) & 0o7777,
        uid=_number(fields[2]),
        gid=_number(fields[3]),
        size=_number(fields[4]),
        mtime_ns=_number(fields[5]) * 1_000_000_000,
        type=fields[7],
        link=_text(fields[8]),
        major=_number(fields[12]) if is_device else 0,
        minor=_number(fields[13]) if is_device else 0,
        is_gnu=magic == b"ustar ",
        block=block,
    )


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _number(field: bytes) -> int:
    """Read octal digits, or GNU's base 256 where the first bit is set."""
    digits = field.rstrip(b"\0 ")
    if digits.isdigit():
        return _octal(digits)
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=False) & ~(0x80 << 8 * (len(field) - 1))
        return value - (1 << 8 * len(field) - 1) if field[0] & 0x40 else value
    digits = field.partition(b"\0")[0].strip(b" ")
    if digits and not digits.isdigit():
        raise BadArchive(f"a header has {digits!r} where a number belongs")
    return _octal(digits or b"0")


def _octal(digits: bytes) -> int:
    try:
        return int(digits, 8)
    except ValueError:
        raise BadArchive(f"a header has {digits!r} where an octal number belongs") from None


def parse_pax(data: bytes) -> dict[bytes, bytes]:
    """Read the records `LENGTH KEY=VALUE\\n` of an extended header."""
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(data) and data[at]:
        space = data.find(b" ", at, at + 20)
        digits = data[at:space] if space > 0 else b""
        if not digits.isdigit():
            raise BadArchive("an extended header has a record without a length")
        end = at + int(digits)
        record = data[space + 1 : end - 1]
        key, equals, value = record.partition(b"=")
        if not equals or end > len(data) or end <= space or data[end - 1 : end] != b"\n":
            raise BadArchive("an extended header has a broken record")
        if key.startswith(b"GNU.sparse.") and key in records:
            value = records[key] + b"," + value  # version 0.0 repeats its keys
        records[key] = value
        at = end
    return records


def pax_number(value: bytes) -> int:
    """Read a decimal number that is not negative."""
    if not value.isdigit() or len(value) > 20:
        raise BadArchive(f"an extended header has {value[:40]!r} where a number belongs")
    return int(value)


def pax_time(value: bytes) -> int:
    """Read seconds with a fraction; return nanoseconds."""
    whole, _, fraction = value.partition(b".")
    sign = -1 if whole.startswith(b"-") else 1
    nanoseconds = int(fraction[:9].ljust(9, b"0")) if fraction[:9].isdigit() else 0
    return sign * (pax_number(whole.lstrip(b"-") or b"0") * 1_000_000_000 + nanoseconds)


def pax_xattrs(records: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the extended attributes, from either way to write them."""
    found: dict[bytes, bytes] = {}
    for key, value in records.items():
        if key.startswith(_XATTR):
            found[key[len(_XATTR) :]] = value
        elif key.startswith(_XATTR_BASE64):
            name = unquote_to_bytes(key[len(_XATTR_BASE64) :])
            try:
                found.setdefault(name, base64.b64decode(value + b"=" * (-len(value) % 4)))
            except binascii.Error:
                raise BadArchive(f"the attribute {name!r} is not base64") from None
    return found
