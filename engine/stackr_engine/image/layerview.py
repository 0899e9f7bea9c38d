"""Reading a stack of overlay layers without mounting it."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_LINKS = 40
"""As many symbolic links as the kernel follows in one path."""


@dataclass(frozen=True)
class Entry:
    """What a path of the merged tree is: a status, and where it is, the uppermost first.

    Only a folder has more than one place: its content is merged from all of them.
    """

    status: os.stat_result
    places: tuple[int, ...]
    """Descriptors (O_PATH) of the file, or of the folders that make up the folder."""

    @property
    def is_folder(self) -> bool:
        """Tell whether it has entries of its own."""
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def path(self) -> str:
        """A path by which the kernel reaches exactly this entry, whatever it is called."""
        return f"/proc/self/fd/{self.places[0]}"


class LayerView:
    """The tree that an overlay of `lowers` would show; close it after use."""

    def __init__(self, lowers: tuple[str, ...]):
        self._open: list[int] = []
        folders = tuple(self._keep(os.open(path, os.O_PATH | os.O_CLOEXEC)) for path in lowers)
        self.root = Entry(os.fstat(folders[0]), folders)

    def close(self) -> None:
        """Close every descriptor that was given out."""
        for fd in self._open:
            os.close(fd)
        self._open.clear()

    def _keep(self, fd: int) -> int:
        self._open.append(fd)
        return fd

    def names(self, folder: Entry) -> list[str]:
        """List the names in a folder, also those that a layer further up may hide."""
        return sorted({name for place in folder.places for name in _names(place)})

    @contextmanager
    def opened(self, folder: Entry, name: str) -> Iterator[Entry | None]:
        """Give what `child` finds, until the block ends."""
        with self.scope():
            yield self.child(folder, name)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Close what was opened in the block when it ends."""
        mark = len(self._open)
        try:
            yield
        finally:
            for fd in self._open[mark:]:
                os.close(fd)
            del self._open[mark:]

    def child(self, folder: Entry, name: str) -> Entry | None:
        """Look one name up, as overlayfs does: whiteouts hide, opaque folders end the merge."""
        places: list[int] = []
        for place in folder.places:
            try:
                fd = self._keep(os.open(name, _PATH, dir_fd=place))
            except FileNotFoundError:
                continue
            status = os.fstat(fd)
            if is_whiteout(status) or (places and not stat.S_ISDIR(status.st_mode)):
                break
            places.append(fd)
            if not stat.S_ISDIR(status.st_mode) or _is_opaque(fd):
                break
        return Entry(os.fstat(places[0]), tuple(places)) if places else None

    def lookup(self, path: str) -> Entry | None:
        """Find a path, following symbolic links as a process whose root this is would."""
        trail = [self.root]
        parts = [part for part in path.split("/")[::-1] if part not in ("", ".")]
        links = 0
        while parts:
            name = parts.pop()
            if name == "..":
                trail = trail[:-1] or [self.root]
                continue
            entry = self.child(trail[-1], name) if trail[-1].is_folder else None
            if entry is None:
                return None
            if not stat.S_ISLNK(entry.status.st_mode):
                trail.append(entry)
                continue
            links += 1
            if links > _MAX_LINKS:
                return None
            target = os.readlink("", dir_fd=entry.places[0])
            trail = [self.root] if target.startswith("/") else trail
            parts += [part for part in target.split("/")[::-1] if part not in ("", ".")]
        return trail[-1]


def read_file(lowers: tuple[str, ...], path: str, limit: int = 1 << 20) -> bytes | None:
    """Return up to `limit` bytes of a regular file in the merged tree; None where there is none."""
    view = LayerView(lowers)
    try:
        entry = view.lookup(path)
        if entry is None or not stat.S_ISREG(entry.status.st_mode):
            return None
        with open(entry.path, "rb") as file:
            return file.read(limit)
    finally:
        view.close()


def _names(folder: int) -> list[str]:
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
    try:
        return os.listdir(fd)
    finally:
        os.close(fd)


def is_whiteout(status: os.stat_result) -> bool:
    """Tell whether overlayfs takes this file for the mark of a deleted one."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _is_opaque(fd: int) -> bool:
    try:
        return os.getxattr(f"/proc/self/fd/{fd}", "trusted.overlay.opaque") in (b"y", b"x")
    except OSError:
        return False
