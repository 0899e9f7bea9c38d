"""What a folder holds, and what differs between then and now; decides, never reads."""

import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What can be copied."""

    FILE = "f"
    FOLDER = "d"
    LINK = "l"


@dataclass(frozen=True, slots=True)
class Stamp:
    """By what a change of an entry is noticed; `link` is where a symbolic link leads."""

    kind: Kind
    mode: int
    size: int = 0
    changed: int = 0
    """Nanoseconds since the epoch of the last change of content; 0: not known."""
    inode: int = 0
    link: str = ""


Manifest = Mapping[str, Stamp]
"""Relative path → stamp."""


@dataclass(frozen=True)
class Changes:
    """What has to be done to a copy: removals first, folders before what is in them."""

    removed: tuple[str, ...] = ()
    written: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.removed or self.written)


def stamp_of(mode: int, size: int, changed: int, inode: int, link: str = "") -> Stamp | None:
    """Make a stamp of what lstat(2) says; None for sockets, pipes and devices."""
    bits = stat.S_IMODE(mode) & 0o1777
    if stat.S_ISREG(mode):
        return Stamp(Kind.FILE, bits, size, changed, inode)
    if stat.S_ISDIR(mode):
        return Stamp(Kind.FOLDER, bits)
    return Stamp(Kind.LINK, 0, link=link) if stat.S_ISLNK(mode) else None


def changes_between(old: Manifest, new: Manifest) -> Changes:
    """Return what makes a copy of `old` one of `new`."""
    removed = [path for path in old if path not in new]
    written = [path for path, stamp in new.items() if old.get(path) != stamp]
    return Changes(topmost(removed), tuple(sorted(written)))


def topmost(paths: Iterable[str]) -> tuple[str, ...]:
    """Drop the paths that are below another one; everything is below ""."""
    given = set(paths)
    found: list[str] = []
    for path in [""] if "" in given else sorted(given, key=lambda path: path.split("/")):
        if not found or not f"{path}/".startswith(f"{found[-1]}/"):
            found.append(path)
    return tuple(found)


def below(manifest: Manifest, path: str) -> dict[str, Stamp]:
    """Return the part of a manifest that is at or below a path; all of it for ""."""
    start = f"{path}/"
    return {
        name: stamp
        for name, stamp in manifest.items()
        if not path or name == path or name.startswith(start)
    }
