"""Content by digest: the `blobs/sha256` folder of an OCI image layout."""

import hashlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from stackr_schemas.errors import NotFound

from stackr_engine import trash
from stackr_engine.image.pipeline import Sha256
from stackr_engine.image.tarheader import BadArchive
from stackr_engine.paths import Paths

_MAX_DOCUMENT = 8 << 20
"""Bytes of a manifest, an index or a config."""
_KEPT = 7 * 86400.0


class Blobs:
    """Blobs are written in `temporary`, digested, and renamed in: what has a name is whole."""

    def __init__(self, paths: Paths):
        self._paths = paths
        self._folder = paths.state / "images" / "blobs" / "sha256"
        self.temporary = paths.state / "images" / "tmp"
        self.partial = paths.state / "images" / "partial"
        """Downloads that broke off and can be resumed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.temporary.mkdir(exist_ok=True)

    def path(self, digest: str) -> Path:
        """Return where the blob is, or would be."""
        return self._folder / hex_digits(digest)

    def has(self, digest: str) -> bool:
        """Tell whether the blob is here."""
        return self.path(digest).exists()

    def size(self, digest: str) -> int:
        """Return the blob's size in bytes."""
        return self.path(digest).stat().st_size

    def open(self, digest: str) -> BinaryIO:
        """Open a blob for reading, or raise NotFound."""
        try:
            return open(self.path(digest), "rb")
        except FileNotFoundError:
            hint = "load or pull the image again"
            raise NotFound(f"the store has no blob {digest}", hint=hint) from None

    def read(self, digest: str) -> bytes:
        """Return a small blob, checked."""
        with self.open(digest) as file:
            return checked(file.read(_MAX_DOCUMENT + 1), digest)

    def add(self, chunks: Iterable[bytes], expected: str = "") -> str:
        """Store a stream and return its digest; raise BadArchive if another was `expected`."""
        temporary = self.temporary / f"blob-{secrets.token_hex(8)}"
        digest = Sha256()
        try:
            with open(temporary, "xb", buffering=0) as file:
                for chunk in digest.of(iter(chunks)):
                    _write_all(file.fileno(), chunk)
            found = digest.digest()
            if expected and found != expected:
                raise BadArchive(f"it has the digest {found} where {expected} was announced")
            os.rename(temporary, self.path(found))
        finally:
            digest.close()
            temporary.unlink(missing_ok=True)
        return found

    def adopt(self, path: str, digest: str) -> None:
        """Take a file of this file system, which has that digest, in by its name."""
        if not self.has(digest):
            os.rename(path, self.path(digest))

    def add_bytes(self, data: bytes) -> str:
        """Store a small blob and return its digest."""
        return self.add([data])

    def fetch(self, digest: str) -> None:
        """Raise NotFound unless the blob is here: the store has nowhere to bring it from."""
        self.open(digest).close()

    def remove(self, digest: str) -> int:
        """Delete a blob and return the bytes that this frees."""
        path = self.path(digest)
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            return 0
        trash.discard(self._paths, path)
        return size

    def forget_partial(self, older_than: float = _KEPT) -> int:
        """Delete downloads that broke off so many seconds ago; return the bytes that this frees."""
        freed = 0
        with suppress(FileNotFoundError):
            for entry in list(os.scandir(self.partial)):
                status = entry.stat(follow_symlinks=False)
                if status.st_mtime <= time.time() - older_than:
                    os.unlink(entry.path)
                    freed += status.st_size
        return freed

    def __iter__(self) -> Iterator[str]:
        return (f"sha256:{name}" for name in sorted(os.listdir(self._folder)))


def hex_digits(digest: str) -> str:
    """Return the digits of `sha256:…`; raise BadArchive for anything else, as it names a file."""
    algorithm, _, digits = digest.partition(":")
    if algorithm != "sha256" or len(digits) != 64 or set(digits) - set("0123456789abcdef"):
        raise BadArchive(f'"{digest[:100]}" is not a sha256 digest')
    return digits


def checked(data: bytes, digest: str) -> bytes:
    """Return the document if it is what the digest says."""
    if len(data) > _MAX_DOCUMENT:
        raise BadArchive(f"the document {digest} is longer than {_MAX_DOCUMENT} bytes")
    if hashlib.sha256(data).hexdigest() != hex_digits(digest):
        raise BadArchive(f"{digest} is damaged: it has another digest")
    return data


def _write_all(fd: int, chunk: bytes) -> None:
    written = os.write(fd, chunk)
    while written < len(chunk):
        written += os.write(fd, chunk[written:])
