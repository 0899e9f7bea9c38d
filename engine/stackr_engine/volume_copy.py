"""Copying what an image has at a path into a volume: owners, modes, times, links, attributes."""

import errno
import os
import stat

from stackr_engine.image.layerview import Entry, LayerView

_CHUNK = 1 << 27
_NOT_COPIED = ("trusted.overlay.", "security.selinux")


class TreeCopy:
    """Copies one folder of a merged tree into an empty folder of the host."""

    def __init__(self, view: LayerView):
        self._view = view
        self._linked: dict[tuple[int, int], str] = {}

    def copy_content(self, folder: Entry, target: str) -> None:
        """Copy everything in `folder`, and its own attributes, into the existing `target`."""
        for name in self._view.names(folder):
            with self._view.opened(folder, name) as entry:
                if entry is not None:
                    self._copy(entry, f"{target}/{name}")
        copy_attributes(folder, target)

    def _copy(self, entry: Entry, target: str) -> None:
        kind = stat.S_IFMT(entry.status.st_mode)
        if kind == stat.S_IFDIR:
            os.mkdir(target, 0o700)
            self.copy_content(entry, target)
        elif kind != stat.S_IFSOCK:
            self._copy_file(entry, kind, target)

    def _copy_file(self, entry: Entry, kind: int, target: str) -> None:
        identity = (entry.status.st_dev, entry.status.st_ino)
        if identity in self._linked:
            os.link(self._linked[identity], target, follow_symlinks=False)
            return
        if kind == stat.S_IFLNK:
            os.symlink(os.readlink("", dir_fd=entry.places[0]), target)
        elif kind == stat.S_IFREG:
            _copy_bytes(entry, target)
        else:
            os.mknod(target, kind | 0o600, entry.status.st_rdev)
        copy_attributes(entry, target)
        if entry.status.st_nlink > 1:
            self._linked[identity] = target


def copy_attributes(entry: Entry, target: str) -> None:
    """Give `target` the entry's owner, mode, extended attributes and times, in that order.

    A change of owner clears set-id bits and capabilities, so these come after it.
    """
    status = entry.status
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(target, stat.S_IMODE(status.st_mode))
    for name in os.listxattr(entry.path):
        if not name.startswith(_NOT_COPIED):
            os.setxattr(target, name, os.getxattr(entry.path, name), follow_symlinks=False)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)


def _copy_bytes(entry: Entry, target: str) -> None:
    source = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    copy = os.open(target, flags, 0o600)
    try:
        _copy_data(source, copy, entry.status.st_size)
    finally:
        os.close(copy)
        os.close(source)


def _copy_data(source: int, copy: int, size: int) -> None:
    """Copy what is not a hole; the file systems may share the blocks."""
    os.ftruncate(copy, size)
    offset = 0
    while offset < size:
        try:
            start = os.lseek(source, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                return
            raise
        end = os.lseek(source, start, os.SEEK_HOLE)
        offset = end
        while start < end:
            start += _copy_range(source, copy, start, min(end - start, _CHUNK))


def _copy_range(source: int, copy: int, offset: int, length: int) -> int:
    try:
        copied = os.copy_file_range(source, copy, length, offset, offset)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        copied = os.pwrite(copy, os.pread(source, min(length, 1 << 20), offset), offset)
    if copied == 0:
        raise OSError(errno.EIO, "the file became shorter while it was copied")
    return copied
