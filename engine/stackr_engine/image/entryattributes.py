"""Owner, mode, extended attributes and time of what an archive brings."""

import errno
import os

from stackr_engine.image.entryname import shown
from stackr_engine.image.tarheader import BadArchive
from stackr_engine.image.tarstream import FOLDER, SYMLINK, TarEntry

_OVERLAY = (b"trusted.overlay.", b"user.overlay.")
_NOT_SET = (b"security.selinux", b"security.ima", b"security.evm")
"""Labels and signatures of the machine on which the image was made."""
_MAX_ID = (1 << 32) - 2
_MAX_XATTR = 1 << 16


class Attributes:
    """Sets one entry's attributes, in the order that keeps them.

    A change of owner clears set-id bits and capabilities; anything else changes the time.
    """

    def __init__(self, entry: TarEntry):
        self._entry = entry

    def set_on(self, fd: int) -> None:
        """Set them on an open file or folder."""
        entry = self._entry
        if entry.uid or entry.gid:
            os.fchown(fd, entry.uid, entry.gid)
        os.fchmod(fd, entry.mode)
        if entry.xattrs:
            self._set_xattrs(fd)
        os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))

    def set_at(self, parent: int, base: bytes) -> None:
        """Set them on what was just made in the folder `parent`."""
        entry = self._entry
        os.chown(base, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        if entry.type != SYMLINK:
            os.chmod(base, entry.mode, dir_fd=parent)
        if entry.xattrs:
            self._set_xattrs(b"/proc/self/fd/%d/%s" % (parent, base))
        if entry.type != FOLDER:
            times = (entry.mtime_ns, entry.mtime_ns)
            os.utime(base, ns=times, dir_fd=parent, follow_symlinks=False)

    def _set_xattrs(self, target: int | bytes) -> None:
        follow = isinstance(target, int)
        for name, value in self._entry.xattrs.items():
            if name in _NOT_SET:
                continue
            try:
                os.setxattr(target, name, value, follow_symlinks=follow)
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:  # the file system has no such attributes
                    raise


def check_attributes(entry: TarEntry) -> None:
    """Raise BadArchive for attributes that an honest layer does not have."""
    if not 0 <= entry.uid <= _MAX_ID or not 0 <= entry.gid <= _MAX_ID:
        raise BadArchive(f"{shown(entry.name)} belongs to {entry.uid}:{entry.gid}, which cannot be")
    for name, value in entry.xattrs.items():
        if name.startswith(_OVERLAY):
            raise BadArchive(
                f"{shown(entry.name)} has the attribute {shown(name)}, by which overlayfs would "
                "look for its content elsewhere"
            )
        if len(value) > _MAX_XATTR or len(name) > 255:
            raise BadArchive(f"{shown(entry.name)} has an attribute that is too long")
