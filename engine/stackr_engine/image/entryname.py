"""What the names in a layer mean: a place below its folder, or a mark of something deleted."""

from enum import Enum

from stackr_engine.image.tarheader import BadArchive

_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_AUFS = b".wh..wh."
_MAX_DEPTH = 256


class Mark(Enum):
    """What a name says beside itself."""

    NONE = "an entry like any other"
    DELETED = "the name without its prefix is deleted from the layers below"
    OPAQUE = "everything in its folder is deleted from the layers below"
    IGNORED = "bookkeeping of aufs, which means nothing here"


def place_of(name: bytes) -> tuple[bytes, bytes]:
    """Split a name into parent and last component; both are empty for the layer's own folder.

    Raises BadArchive for a name that leads elsewhere.
    """
    if name.startswith(b"/"):
        raise BadArchive(f"{shown(name)} is an absolute name")
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise BadArchive(f"{shown(name)} climbs out of its folder")
    if len(parts) > _MAX_DEPTH:
        raise BadArchive(f"{shown(name)} is nested deeper than {_MAX_DEPTH} folders")
    if not parts:
        return b"", b""
    return b"/".join(parts[:-1]), parts[-1]


def mark_of(base: bytes) -> tuple[Mark, bytes]:
    """Tell what a last component means, and which name it is about."""
    if not base.startswith(_WHITEOUT):
        return Mark.NONE, base
    if base == _OPAQUE:
        return Mark.OPAQUE, b""
    if base.startswith(_AUFS):
        return Mark.IGNORED, b""
    target = base[len(_WHITEOUT) :]
    if target in (b"", b".", b".."):
        raise BadArchive(f"{shown(base)} marks no name as deleted")
    return Mark.DELETED, target


def shown(name: bytes) -> str:
    """Return a name as a message can show it: on one line, and not too long."""
    text = name[:120].decode("utf-8", "backslashreplace")
    printable = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
    return f'"{printable}{"…" if len(name) > 120 else ""}"'
