"""The folder that one layer is unpacked into: its parents opened so that nothing leads outside."""

import errno
import os
import stat

from stackr_engine.image.entryname import shown
from stackr_engine.image.layerview import LayerView, is_whiteout
from stackr_engine.image.tarheader import BadArchive
from stackr_engine.spawn.syscalls import (
    RESOLVE_BENEATH,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    RESOLVE_NO_XDEV,
    openat2,
)
from stackr_engine.trash import Deletion

OPAQUE = "trusted.overlay.opaque"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_INSIDE = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV
_CACHED = 128
"""Folders that are kept open."""


class LayerFolder:
    """Opens, makes and empties places in one layer's folder; `parents` are the layers below."""

    def __init__(self, path: str, parents: tuple[str, ...]):
        self.root = os.open(path, _FOLDER | os.O_CLOEXEC)
        self._open: dict[bytes, int] = {}
        self._retired: list[int] = []
        self._below = LayerView(parents) if parents else None

    def close(self) -> None:
        """Close every descriptor."""
        self._forget()
        self.settle()
        os.close(self.root)
        if self._below:
            self._below.close()

    def settle(self) -> None:
        """Close what no call before this one uses any more."""
        for fd in self._retired:
            os.close(fd)
        self._retired.clear()

    def open(self, path: bytes) -> int:
        """Return a descriptor of a folder, made if it is missing, good until `settle`."""
        if not path:
            return self.root
        fd = self._open.get(path)
        if fd is None:
            if len(self._open) >= _CACHED:
                self._forget()
            fd = self._open[path] = self._open_new(path)
        return fd

    def remove(self, parent: int, base: bytes) -> None:
        """Delete what an earlier entry of the same layer put here."""
        self._forget()  # it may be a folder, or a link that was passed through
        Deletion(parent).delete(base)

    def is_below(self, path: bytes) -> bool:
        """Tell whether a layer below has something of that name."""
        return self._status_below(path) is not None

    def names_below(self) -> list[bytes]:
        """Name what the layers below have directly in their root."""
        if self._below is None:
            return []
        return [os.fsencode(name) for name in self._below.names(self._below.root)]

    def make_folder(self, parent: int, base: bytes) -> bool:
        """Make a folder, or keep the one that is there; tell whether it is new."""
        try:
            os.mkdir(base, 0o700, dir_fd=parent)
            return True
        except FileExistsError:
            status = os.stat(base, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            return False
        self.remove(parent, base)
        os.mkdir(base, 0o700, dir_fd=parent)
        if is_whiteout(status):  # deleted below, then made anew: nothing of the old shows
            os.setxattr(f"/proc/self/fd/{parent}/{os.fsdecode(base)}", OPAQUE, b"y")
        return True

    def _forget(self) -> None:
        self._retired += self._open.values()
        self._open.clear()

    def _open_new(self, path: bytes) -> int:
        try:
            return openat2(self.root, path, _FOLDER, _INSIDE | RESOLVE_NO_SYMLINKS)
        except OSError as error:
            if error.errno == errno.ELOOP:
                return self._open_through_links(path)
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise
        return self._make_path(path)

    def _make_path(self, path: bytes) -> int:
        at, end = os.dup(self.root), 0
        while end < len(path):
            start, end = end and end + 1, path.find(b"/", end + 1)
            end = len(path) if end < 0 else end
            try:
                below = self._open_or_make(at, path[:end], path[start:end])
            finally:
                os.close(at)
            at = below
        return at

    def _open_or_make(self, at: int, path: bytes, base: bytes) -> int:
        for _ in range(2):
            try:
                return openat2(at, base, _FOLDER, _INSIDE | RESOLVE_NO_SYMLINKS)
            except OSError as error:
                if error.errno == errno.ELOOP:
                    return self._open_through_links(path)
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    raise
            self._make_parent(at, path, base)
        raise BadArchive(f"{shown(path)} cannot be made a folder")

    def _open_through_links(self, path: bytes) -> int:
        """Follow links that stay inside, as some builders write entries through them."""
        try:
            return openat2(self.root, path, _FOLDER, _INSIDE)
        except OSError as error:
            raise BadArchive(
                f"{shown(path)} passes through a link that leads out of the layer, or nowhere"
            ) from error

    def _make_parent(self, above: int, path: bytes, base: bytes) -> None:
        """Make a folder that the archive forgot, to look as it does in the layers below."""
        try:
            status = os.stat(base, dir_fd=above, follow_symlinks=False)
        except FileNotFoundError:
            pass
        else:
            if not is_whiteout(status):
                raise BadArchive(f"{shown(path)} is a file, and then the folder of another entry")
        self.make_folder(above, base)
        below = self._status_below(path)
        mode = stat.S_IMODE(below.st_mode) if below and stat.S_ISDIR(below.st_mode) else 0o755
        if below and stat.S_ISDIR(below.st_mode):
            os.chown(base, below.st_uid, below.st_gid, dir_fd=above, follow_symlinks=False)
        os.chmod(base, mode, dir_fd=above)

    def _status_below(self, path: bytes) -> os.stat_result | None:
        if self._below is None:
            return None
        with self._below.scope():
            entry = self._below.root
            for part in os.fsdecode(path).split("/"):
                below = self._below.child(entry, part) if entry.is_folder else None
                if below is None:
                    return None
                entry = below
            return entry.status
