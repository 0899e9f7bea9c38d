"""Writing what an entry contains."""

import os
from collections.abc import Iterator

from stackr_engine.image.layerview import is_whiteout
from stackr_engine.image.tarstream import TarEntry, TarStream


def write_pieces(fd: int, pieces: Iterator[memoryview]) -> None:
    """Write everything, also where a call writes less than it was given."""
    for piece in pieces:
        written = os.write(fd, piece)
        while written < len(piece):
            written += os.write(fd, piece[written:])


def write_sparse(fd: int, entry: TarEntry, stream: TarStream) -> None:
    """Write the pieces of a file with holes where they belong."""
    for extent in entry.extents or ():
        os.lseek(fd, extent.offset, os.SEEK_SET)
        write_pieces(fd, stream.take(extent.size))
    os.ftruncate(fd, entry.size)


def remove_marks(folder: int) -> None:
    """Delete marks of deletion below an opaque folder: with nothing to hide they are listed."""
    for _, _, names, fd in os.fwalk(".", dir_fd=folder):
        for name in names:
            if is_whiteout(os.stat(name, dir_fd=fd, follow_symlinks=False)):
                os.unlink(name, dir_fd=fd)
