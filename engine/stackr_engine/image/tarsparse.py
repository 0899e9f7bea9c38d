"""Files with holes: the three ways of GNU tar, and the one of old GNU headers."""

from typing import NamedTuple

from stackr_engine.image.bytesource import ByteSource
from stackr_engine.image.tarheader import BLOCK, BadArchive, pax_number

_MAX_EXTENTS = 1_000_000


class Extent(NamedTuple):
    """Where a piece of data belongs in the file."""

    offset: int
    size: int


class Sparse(NamedTuple):
    """A file's full size, its pieces, and how many bytes of the archive held the map itself."""

    size: int
    extents: list[Extent]
    map_size: int = 0


def old_gnu_sparse(block: bytes, source: ByteSource) -> Sparse:
    """Read the map of a header of type S, and the blocks that continue it."""
    extents = _old_extents(block[386:482])
    size = _octal(block[483:495])
    is_continued = block[482]
    while is_continued:
        more = source.take(BLOCK)
        extents += _old_extents(more[:504])
        is_continued = more[504]
        _check_count(len(extents))
    return Sparse(size, extents)


def pax_sparse(records: dict[bytes, bytes], source: ByteSource) -> Sparse | None:
    """Read the map that an extended header tells of: versions 0.0, 0.1 and 1.0."""
    if records.get(b"GNU.sparse.major") == b"1":
        return _version_1(pax_number(records.get(b"GNU.sparse.realsize", b"")), source)
    if b"GNU.sparse.size" not in records:
        return None
    if b"GNU.sparse.map" in records:
        numbers = records[b"GNU.sparse.map"].split(b",")
    else:
        offsets = records.get(b"GNU.sparse.offset", b"").split(b",")
        sizes = records.get(b"GNU.sparse.numbytes", b"").split(b",")
        numbers = [number for pair in zip(offsets, sizes, strict=False) for number in pair]
    return Sparse(pax_number(records[b"GNU.sparse.size"]), _pairs(numbers))


def check_extents(sparse: Sparse, data_size: int) -> None:
    """Raise BadArchive unless the pieces are in order, inside the file and all there."""
    end = 0
    for extent in sparse.extents:
        if extent.offset < end or extent.offset + extent.size > sparse.size:
            raise BadArchive("a sparse file's map is not in order")
        end = extent.offset + extent.size
    if sum(extent.size for extent in sparse.extents) != data_size:
        raise BadArchive("a sparse file's map does not fit its data")


def _version_1(size: int, source: ByteSource) -> Sparse:
    """Read decimal lines at the start of the data: a count, then offset and size of each piece."""
    block = source.take(BLOCK)
    taken = BLOCK
    lines = block.split(b"\n")
    while not _is_complete(lines):
        block = source.take(BLOCK)
        taken += BLOCK
        lines[-1:] = (lines[-1] + block).split(b"\n")
        _check_count(len(lines) // 2)
    count = pax_number(lines[0])
    return Sparse(size, _pairs(lines[1 : 1 + 2 * count]), taken)


def _is_complete(lines: list[bytes]) -> bool:
    if len(lines) < 2:
        return False
    count = pax_number(lines[0])
    _check_count(count)
    return len(lines) > 1 + 2 * count


def _pairs(numbers: list[bytes]) -> list[Extent]:
    _check_count(len(numbers) // 2)
    if len(numbers) % 2 and numbers != [b""]:
        raise BadArchive("a sparse file's map is broken")
    values = [pax_number(number) for number in numbers if number]
    return [Extent(*pair) for pair in zip(values[::2], values[1::2], strict=True)]


def _old_extents(field: bytes) -> list[Extent]:
    found = []
    for at in range(0, len(field) - 23, 24):
        if field[at]:
            found.append(Extent(_octal(field[at : at + 12]), _octal(field[at + 12 : at + 24])))
    return found


def _octal(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    try:
        return int(digits or b"0", 8)
    except ValueError:
        raise BadArchive("a sparse file's map has no number where one belongs") from None


def _check_count(count: int) -> None:
    if count > _MAX_EXTENTS:
        raise BadArchive(f"a sparse file has more than {_MAX_EXTENTS} pieces")
