"""Where an image comes from: an archive, a folder in OCI layout, or the store itself."""

import os
import posixpath
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from stackr_schemas.errors import NotFound

from stackr_engine.image.blobs import Blobs, checked, hex_digits
from stackr_engine.image.bytesource import ByteSource
from stackr_engine.image.compression import decompressed
from stackr_engine.image.entrydata import write_pieces
from stackr_engine.image.entryname import shown
from stackr_engine.image.pipeline import Sha256, read_chunks
from stackr_engine.image.tarheader import BadArchive
from stackr_engine.image.tarstream import HARD_LINK, REGULAR, SYMLINK, TarEntry, TarStream

_MAX_MEMBERS = 100_000
_MAX_DOCUMENT = 8 << 20
_MAX_ALIASES = 8


class Content(Protocol):
    """Blobs that are not in the store yet."""

    def read(self, digest: str) -> bytes:
        """Return a small document, checked."""

    def fetch(self, digest: str) -> None:
        """Bring a blob into the store, checked, unless it is there."""


class LayoutFolder:
    """A folder in OCI image layout."""

    def __init__(self, folder: Path, blobs: Blobs):
        self._folder = folder
        self._blobs = blobs

    def document(self, name: str) -> bytes | None:
        """Return a file at the top of the layout."""
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def read(self, digest: str) -> bytes:
        """Return a small document, checked."""
        with self._open(digest) as file:
            return checked(file.read(_MAX_DOCUMENT + 1), digest)

    def fetch(self, digest: str) -> None:
        """Bring a blob into the store, checked, unless it is there."""
        if not self._blobs.has(digest):
            with self._open(digest) as file:
                self._blobs.add(read_chunks(file), expected=digest)

    def _open(self, digest: str) -> BinaryIO:
        try:
            return open(self._folder / "blobs" / "sha256" / hex_digits(digest), "rb")
        except FileNotFoundError:
            raise NotFound(f"{self._folder} has no blob {digest}") from None


@dataclass(frozen=True, slots=True)
class _Member:
    path: str
    digest: str


class ArchiveContent:
    """The files of an archive, read in one pass into a folder of the store.

    Names in the archive are only ever compared, never used as paths.
    """

    def __init__(self, blobs: Blobs):
        self._blobs = blobs
        self._folder = tempfile.mkdtemp(prefix="load-", dir=blobs.temporary)
        self._members: dict[str, _Member] = {}
        self._aliases: dict[str, str] = {}

    def close(self) -> None:
        """Delete what was not brought into the store."""
        shutil.rmtree(self._folder)

    def read_archive(self, chunks: Iterator[bytes]) -> None:
        """Take every file of an archive."""
        source = ByteSource(decompressed(chunks))
        stream = TarStream(source)
        for entry in stream:
            name = posixpath.normpath(os.fsdecode(entry.name))
            if len(self._members) + len(self._aliases) >= _MAX_MEMBERS:
                raise BadArchive(f"it has more than {_MAX_MEMBERS} files")
            if entry.type == REGULAR:
                self._members[name] = self._take(entry, stream)
            elif entry.type == HARD_LINK:
                self._aliases[name] = posixpath.normpath(os.fsdecode(entry.link))
            elif entry.type == SYMLINK:
                link = posixpath.join(posixpath.dirname(name), os.fsdecode(entry.link))
                self._aliases[name] = posixpath.normpath(link)
        source.drain()

    def document(self, name: str) -> bytes | None:
        """Return a small file by its name in the archive."""
        member = self._find(name)
        if member is None:
            return None
        with open(member.path, "rb") as file:
            data = file.read(_MAX_DOCUMENT + 1)
        if len(data) > _MAX_DOCUMENT:
            raise BadArchive(f"{name} is longer than {_MAX_DOCUMENT} bytes")
        return data

    def fetch_member(self, name: str) -> str:
        """Bring a file into the store and return its digest."""
        member = self._find(name)
        if member is None:
            raise BadArchive(f"it has no {shown(os.fsencode(name))}, which its manifest names")
        self._blobs.adopt(member.path, member.digest)
        return member.digest

    def read(self, digest: str) -> bytes:
        """Return a small document, checked."""
        data = self.document(f"blobs/sha256/{hex_digits(digest)}")
        return self._blobs.read(digest) if data is None else checked(data, digest)

    def fetch(self, digest: str) -> None:
        """Bring a blob into the store, checked, unless it is there."""
        if self._blobs.has(digest):
            return
        found = self.fetch_member(f"blobs/sha256/{hex_digits(digest)}")
        if found != digest:
            raise BadArchive(f"its blob {digest} has the digest {found}")

    def _find(self, name: str) -> _Member | None:
        name = posixpath.normpath(name)
        for _ in range(_MAX_ALIASES):
            if name in self._members:
                return self._members[name]
            name = self._aliases.get(name, "")
        return None

    def _take(self, entry: TarEntry, stream: TarStream) -> _Member:
        path = f"{self._folder}/{len(self._members)}"
        digest = Sha256()
        try:
            with open(path, "xb", buffering=0) as file:
                pieces = digest.of(bytes(piece) for piece in stream.data())
                write_pieces(file.fileno(), (memoryview(piece) for piece in pieces))
            return _Member(path, digest.digest())
        finally:
            digest.close()
