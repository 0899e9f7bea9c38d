"""Bringing blobs into the store: in parallel, each once, resumed where they broke off."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO

from stackr_schemas.errors import StackrError

from stackr_engine.image.blobs import Blobs, hex_digits
from stackr_engine.image.pipeline import Sha256, read_chunks
from stackr_engine.image.registry.errors import Broken, Damaged, ResumedWrongly
from stackr_engine.image.registry.report import LayerNews, Report

_PARALLEL = 4
_ATTEMPTS = 5
"""Broken connections in a row, without a byte in between."""
_POLL = 0.2
"""Seconds until a wait notices that the user wants to end."""
_TELL = 0.1
"""Seconds between two news of a download."""

Fetch = Callable[[int], Iterator[bytes]]
"""Gives a blob's bytes from an offset on."""


class Download:
    """One blob on its way; everybody who wants it waits for the same one."""

    def __init__(self, digest: str, size: int, fetch: Fetch):
        self.digest = digest
        self.size = size
        self.fetch = fetch
        self.users = 0
        self.have = 0
        self.was_resumed = False
        self.is_ended = False
        self.error: BaseException | None = None
        self.changed = threading.Condition()
        self._file: BinaryIO | None = None
        self._watchers: list[Report] = []
        self._told = 0.0

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from others: a manifest may lie about the size."""
        return self.digest, self.size

    def receive(self, file: BinaryIO, is_unwanted: Callable[[], bool]) -> bool:
        """Fill the file up and check it; False if nobody wants it any more."""
        self._file = file
        sha256 = Sha256()
        try:
            for chunk in read_chunks(file):
                sha256.update(chunk)
                self._advance(len(chunk))
            self.was_resumed = self.have > 0
            if not self._fill(file.fileno(), sha256, is_unwanted):
                return False
            found = sha256.digest()
        finally:
            sha256.close()
        if self.have > self.size or found != self.digest:
            os.ftruncate(file.fileno(), 0)
            kind = ResumedWrongly if self.was_resumed else Damaged
            raise kind(
                f"a layer came with the digest {found} where {self.digest} was announced",
                hint="try again; if it stays, the registry or a proxy before it is broken",
            )
        return True

    def end(self, error: BaseException | None) -> None:
        """Tell everybody that waits."""
        if error is None:
            self._tell("Download complete")
        with self.changed:
            self.error, self.is_ended = error, True
            self.changed.notify_all()

    def wait(self, check: Callable[[], None]) -> None:
        """Wait until the blob is in the store; raise what went wrong."""
        with self.changed:
            while not self.is_ended:
                check()
                self.changed.wait(_POLL)
            if self.error:
                raise self.error

    def watch(self, report: Report) -> Callable[[], None]:
        """Report how far it is, from another thread, until the returned function is called."""
        self._watchers.append(report)
        return partial(self._watchers.remove, report)

    def duplicate(self) -> int | None:
        """Return a descriptor of the file that is being filled, None if it is whole or not open."""
        with self.changed:
            try:
                return os.dup(self._file.fileno()) if self._file is not None else None
            except ValueError:
                return None

    def _fill(self, fd: int, sha256: Sha256, is_unwanted: Callable[[], bool]) -> bool:
        failures = 0
        while self.have < self.size:
            before = self.have
            error = Broken(f"the layer {self.digest[:19]} ends before its end")
            try:
                for chunk in self.fetch(before):
                    if is_unwanted():
                        return False
                    _write_all(fd, chunk)
                    sha256.update(chunk)
                    self._advance(len(chunk))
                    if self.have >= self.size:
                        break
            except Broken as broken:
                error = broken
            failures = failures + 1 if self.have == before else 0
            if failures == _ATTEMPTS:
                raise error
            if self.have < self.size:
                time.sleep(0.1 * 2**failures)
        return True

    def _advance(self, size: int) -> None:
        with self.changed:
            self.have += size
            self.changed.notify_all()
        if time.monotonic() - self._told > _TELL:
            self._told = time.monotonic()
            self._tell("Downloading")

    def _tell(self, text: str) -> None:
        news = LayerNews(self.digest, text, self.have, self.size)
        for report in tuple(self._watchers):
            report(news)


class Downloads:
    """All blobs on their way into one store."""

    def __init__(self, blobs: Blobs):
        self._blobs = blobs
        self._folder = blobs.partial
        self._running: dict[tuple[str, int], Download] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(_PARALLEL, "download")

    def join(self, digest: str, size: int, fetch: Fetch) -> Download:
        """Return the download of a blob, begun now if nobody else wants it; `leave` it later."""
        hex_digits(digest)
        with self._lock:
            download = self._running.get((digest, size))
            if download is None:
                download = Download(digest, size, fetch)
                self._running[digest, size] = download
                self._pool.submit(self._run, download)
            download.users += 1
            return download

    def leave(self, download: Download) -> None:
        """Say that one caller wants it no more: without any, it stops and can be resumed."""
        with self._lock:
            download.users -= 1

    def _run(self, download: Download) -> None:
        error: BaseException | None = None
        try:
            if not self._is_unwanted(download):
                self._receive(download)
        except BaseException as found:  # whoever waits is told
            error = found
        with self._lock:
            if self._running.get(download.key) is download:
                del self._running[download.key]
        download.end(error)

    def _receive(self, download: Download) -> None:
        if self._blobs.has(download.digest):
            download.have = download.size
            return
        path = self._partial(download)
        try:
            with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0) as file:
                if download.receive(file, lambda: self._is_unwanted(download)):
                    self._blobs.adopt(str(path), download.digest)
        except OSError as error:
            raise StackrError(f"cannot keep a layer: {error.strerror}: {path.parent}") from error

    def _partial(self, download: Download) -> Path:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / f"{hex_digits(download.digest)}-{download.size}"
        free = os.statvfs(self._folder)
        if download.size > free.f_bavail * free.f_frsize:
            raise StackrError(
                f"a layer of {download.size} bytes does not fit into {self._folder.parent}",
                hint="make room, with `stackr rmi` for instance",
            )
        return path

    def _is_unwanted(self, download: Download) -> bool:
        """Tell whether all have left; from then on, who wants it begins a new download."""
        with self._lock:
            if download.users == 0:
                self._running.pop(download.key, None)
                return True
            return False


class Following:
    """Reads a blob while it is being downloaded; the last bytes only once its digest is right."""

    def __init__(self, download: Download, blobs: Blobs, check: Callable[[], None]):
        self._download = download
        self._blobs = blobs
        self._check = check
        self._at = 0
        self._fd = -1

    def __enter__(self) -> "Following":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def read(self, size: int) -> bytes:
        """Return what there is, at most `size` bytes; nothing at the end."""
        if not self._wait():
            return b""
        data = os.pread(self._fd, size, self._at)
        self._at += len(data)
        return data

    def close(self) -> None:
        """Let the file go."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _wait(self) -> bool:
        """Wait for more bytes; open the file at the first ones; False at the end."""
        download = self._download
        with download.changed:
            while not download.is_ended and not self._at < download.have < download.size:
                self._check()
                download.changed.wait(_POLL)
            if download.error:
                raise download.error
        if self._fd < 0:
            fd = download.duplicate()
            self._fd = self._opened() if fd is None else fd
        return self._at < download.size

    def _opened(self) -> int:
        with self._blobs.open(self._download.digest) as file:
            return os.dup(file.fileno())


def _write_all(fd: int, chunk: bytes) -> None:
    written = os.write(fd, chunk)
    while written < len(chunk):
        written += os.write(fd, chunk[written:])
