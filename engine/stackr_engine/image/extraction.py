"""Placing the entries of one layer in its folder, in the form that overlayfs reads.

Nothing an archive says can reach outside: names are refused if they are absolute or climb, parents
are opened with RESOLVE_BENEATH, last components are never followed, files are made with O_EXCL.
https://github.com/opencontainers/image-spec/blob/main/layer.md
"""

import contextlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from stackr_engine.image.bytesource import ByteSource
from stackr_engine.image.entryattributes import Attributes, check_attributes
from stackr_engine.image.entrydata import remove_marks, write_pieces, write_sparse
from stackr_engine.image.entryname import Mark, mark_of, place_of, shown
from stackr_engine.image.layerfolder import OPAQUE, LayerFolder
from stackr_engine.image.layerview import is_whiteout
from stackr_engine.image.tarheader import BadArchive
from stackr_engine.image.tarstream import (
    BLOCK_DEVICE,
    CHARACTER,
    FIFO,
    FOLDER,
    HARD_LINK,
    REGULAR,
    SYMLINK,
    TarEntry,
    TarStream,
)

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
T = TypeVar("T")
_NODES = {CHARACTER: stat.S_IFCHR, BLOCK_DEVICE: stat.S_IFBLK, FIFO: stat.S_IFIFO}


@dataclass(frozen=True)
class Limits:
    """How much one layer may unpack to."""

    bytes: int
    entries: int = 5_000_000

    @classmethod
    def of_disk(cls, folder: str) -> "Limits":
        """Leave the disk a twentieth, at most a GiB: a full disk stops more than this layer."""
        disk = os.statvfs(folder)
        reserve = min(disk.f_blocks * disk.f_frsize // 20, 1 << 30)
        free = disk.f_bavail * disk.f_frsize - reserve
        return cls(max(free, 0), min(5_000_000, disk.f_favail or 5_000_000))


class Extraction:
    """Unpacks one archive into one empty folder."""

    def __init__(self, folder: LayerFolder, limits: Limits):
        self._folder = folder
        self._limits = limits
        self._bytes = 0
        self._entries = 0
        self._times: list[tuple[bytes, bytes, int]] = []
        self._opaque: list[bytes] = []
        self._hides_all = False

    def run(self, source: ByteSource) -> int:
        """Unpack to the end of the source; return the bytes of all files."""
        stream = TarStream(source)
        for entry in stream:
            self._count(entry)
            self._folder.settle()
            try:
                self._place(entry, stream)
            except OSError as error:
                reason = error.strerror or str(error)
                raise BadArchive(f"{shown(entry.name)} cannot be unpacked: {reason}") from error
        source.drain()
        self._finish_opaque()
        self._finish_times()
        return self._bytes

    def _count(self, entry: TarEntry) -> None:
        self._entries += 1
        self._bytes += entry.data_size
        if self._entries > self._limits.entries:
            raise BadArchive(f"it has more than {self._limits.entries} entries")
        if self._bytes > self._limits.bytes:
            raise BadArchive(
                f"it unpacks to more than the {self._limits.bytes} bytes that there is room for"
            )

    def _place(self, entry: TarEntry, stream: TarStream) -> None:
        parent_path, base = place_of(entry.name)
        if not base:
            self._place_root(entry)
            return
        mark, target = mark_of(base)
        match mark:
            case Mark.DELETED:
                self._mark_deleted(parent_path, target)
            case Mark.OPAQUE:
                self._mark_opaque(parent_path)
            case Mark.NONE:
                check_attributes(entry)
                self._place_entry(entry, stream, parent_path, base)
            case Mark.IGNORED:
                pass

    def _place_entry(
        self, entry: TarEntry, stream: TarStream, parent_path: bytes, base: bytes
    ) -> None:
        parent = self._folder.open(parent_path)
        if entry.type == REGULAR:
            self._write_file(entry, stream, parent, base)
        elif entry.type == FOLDER:
            self._folder.make_folder(parent, base)
            Attributes(entry).set_at(parent, base)
            self._times.append((parent_path, base, entry.mtime_ns))
        elif entry.type == HARD_LINK:
            self._link(entry, parent, base)
        else:
            self._make_node(entry, parent, base)
            Attributes(entry).set_at(parent, base)

    def _place_root(self, entry: TarEntry) -> None:
        if entry.type != FOLDER:
            raise BadArchive(f"{shown(entry.name)} would replace the layer's own folder")
        check_attributes(entry)
        Attributes(entry).set_on(self._folder.root)
        self._times.append((b"", b".", entry.mtime_ns))

    def _write_file(self, entry: TarEntry, stream: TarStream, parent: int, base: bytes) -> None:
        fd = self._new(parent, base, lambda: os.open(base, _NEW, 0o600, dir_fd=parent))
        try:
            if entry.extents is None:
                write_pieces(fd, stream.data())
            else:
                write_sparse(fd, entry, stream)
            Attributes(entry).set_on(fd)
        finally:
            os.close(fd)

    def _link(self, entry: TarEntry, parent: int, base: bytes) -> None:
        link_parent, link_base = place_of(entry.link)
        if place_of(entry.name) == (link_parent, link_base):
            return
        source = self._folder.open(link_parent)
        if not _is_file(source, link_base):
            raise BadArchive(
                f"{shown(entry.name)} is a hard link to {shown(entry.link)}, "
                "which is no file of the same layer"
            )
        self._new(
            parent,
            base,
            lambda: os.link(
                link_base, base, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False
            ),
        )

    def _make_node(self, entry: TarEntry, parent: int, base: bytes) -> None:
        if entry.type == SYMLINK:
            self._new(parent, base, lambda: os.symlink(entry.link, base, dir_fd=parent))
            return
        device = os.makedev(entry.major, entry.minor)
        if entry.type == CHARACTER and device == 0:
            raise BadArchive(f"{shown(entry.name)} is device 0:0, overlayfs's mark of a deletion")
        mode = _NODES[entry.type] | 0o600
        self._new(parent, base, lambda: os.mknod(base, mode, device, dir_fd=parent))

    def _new(self, parent: int, base: bytes, make: Callable[[], T]) -> T:
        """Make something in the place of what an earlier entry of that name made."""
        try:
            return make()
        except FileExistsError:
            self._folder.remove(parent, base)
            return make()

    def _mark_deleted(self, parent_path: bytes, base: bytes) -> None:
        path = parent_path + b"/" + base if parent_path else base
        if not self._folder.is_below(path):
            return  # a mark of nothing would be listed in folders that only this layer has
        parent = self._folder.open(parent_path)
        try:
            os.mknod(base, stat.S_IFCHR, 0, dir_fd=parent)
        except FileExistsError:
            # The mark is about the layers below; what this layer has of that name stays.
            if stat.S_ISDIR(os.stat(base, dir_fd=parent, follow_symlinks=False).st_mode):
                os.setxattr(self._folder.open(path), OPAQUE, b"y")
                self._opaque.append(path)

    def _mark_opaque(self, path: bytes) -> None:
        if not path:  # overlayfs merges the roots of all layers, whatever they say
            self._hides_all = True
            return
        os.setxattr(self._folder.open(path), OPAQUE, b"y")
        self._opaque.append(path)

    def _finish_opaque(self) -> None:
        for name in self._folder.names_below() if self._hides_all else ():
            self._mark_deleted(b"", name)
        for path in self._opaque:
            self._folder.settle()
            with contextlib.suppress(BadArchive):  # replaced by a file since
                remove_marks(self._folder.open(path))

    def _finish_times(self) -> None:
        """Set the times of folders, now that nothing is made in them any more."""
        for parent_path, base, mtime_ns in reversed(self._times):
            self._folder.settle()
            times = (mtime_ns, mtime_ns)
            with contextlib.suppress(FileNotFoundError, BadArchive):  # replaced since
                parent = self._folder.open(parent_path)
                os.utime(base, ns=times, dir_fd=parent, follow_symlinks=False)


def _is_file(parent: int, base: bytes) -> bool:
    try:
        status = os.stat(base, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return not stat.S_ISDIR(status.st_mode) and not is_whiteout(status)
