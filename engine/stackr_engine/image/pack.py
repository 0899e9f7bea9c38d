"""A folder of this host as a tar archive, with everything that a layer can hold."""

import os
import stat
from collections.abc import Iterator

from stackr_schemas.errors import StackrError

from stackr_engine.image.tarstream import (
    BLOCK_DEVICE,
    CHARACTER,
    FIFO,
    FOLDER,
    HARD_LINK,
    REGULAR,
    SYMLINK,
    TarEntry,
)
from stackr_engine.image.tarwriter import END, header_of

_TYPES = {
    stat.S_IFREG: REGULAR,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: CHARACTER,
    stat.S_IFBLK: BLOCK_DEVICE,
    stat.S_IFDIR: FOLDER,
    stat.S_IFIFO: FIFO,
}
_CHUNK = 1 << 18


def pack_folder(folder: str) -> Iterator[bytes]:
    """Give the archive of a folder's content; sockets and other file systems are left out."""
    yield from _Packing(os.fsencode(folder)).chunks()


class _Packing:
    def __init__(self, root: bytes):
        self._root = root
        self._device = os.stat(root).st_dev
        self._linked: dict[tuple[int, int], bytes] = {}

    def chunks(self) -> Iterator[bytes]:
        yield from self._entry(self._root, b"./", os.stat(self._root))
        yield from self._content(self._root, b"")
        yield END

    def _content(self, folder: bytes, prefix: bytes) -> Iterator[bytes]:
        for base in sorted(os.listdir(folder)):
            path, name = folder + b"/" + base, prefix + base
            status = os.lstat(path)
            if stat.S_ISDIR(status.st_mode):
                yield from self._entry(path, name + b"/", status)
                if status.st_dev == self._device:
                    yield from self._content(path, name + b"/")
            elif stat.S_IFMT(status.st_mode) in _TYPES:
                yield from self._entry(path, name, status)

    def _entry(self, path: bytes, name: bytes, status: os.stat_result) -> Iterator[bytes]:
        entry = _entry_of(path, name, status)
        identity = (status.st_dev, status.st_ino)
        if entry.type != FOLDER and identity in self._linked:
            entry.type, entry.link = HARD_LINK, self._linked[identity]
            entry.size = entry.data_size = 0
        elif entry.type != FOLDER and status.st_nlink > 1:
            self._linked[identity] = name
        yield header_of(entry)
        if entry.data_size:
            yield from _data(path, entry.data_size)


def _entry_of(path: bytes, name: bytes, status: os.stat_result) -> TarEntry:
    kind = _TYPES[stat.S_IFMT(status.st_mode)]
    size = status.st_size if kind == REGULAR else 0
    is_device = kind in (CHARACTER, BLOCK_DEVICE)
    return TarEntry(
        name=name,
        type=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime_ns=status.st_mtime_ns,
        size=size,
        link=os.readlink(path) if kind == SYMLINK else b"",
        major=os.major(status.st_rdev) if is_device else 0,
        minor=os.minor(status.st_rdev) if is_device else 0,
        data_size=size,
        xattrs={
            os.fsencode(attribute): os.getxattr(path, attribute, follow_symlinks=False)
            for attribute in os.listxattr(path, follow_symlinks=False)
            if not attribute.startswith("trusted.overlay.")
        },
    )


def _data(path: bytes, size: int) -> Iterator[bytes]:
    left = size
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb", 0) as file:
        while left:
            chunk = file.read(min(left, _CHUNK))
            if not chunk:
                raise StackrError(f"{os.fsdecode(path)} became shorter while it was read")
            left -= len(chunk)
            yield chunk
    yield bytes(-size % 512)
