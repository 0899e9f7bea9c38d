"""Streams that are worked on by several threads: reading, digests and unpacking side by side.

hashlib, isal and zstd let the other threads run while they work.
"""

import hashlib
import threading
from collections.abc import Generator, Iterator
from queue import Queue
from typing import BinaryIO

_CHUNK = 1 << 18
_DEPTH = 16
"""Chunks between two threads: enough that neither waits for long."""


class _End:
    """The last thing in a queue, with the error that ended the stream, if any."""

    def __init__(self, error: BaseException | None = None):
        self.error = error


def read_chunks(file: BinaryIO) -> Iterator[bytes]:
    """Give a file's bytes."""
    while chunk := file.read(_CHUNK):
        yield chunk


def prefetched(chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    """Let a thread of its own run `chunks` ahead of the reader."""
    queue: Queue[bytes | _End] = Queue(_DEPTH)
    is_stopped = threading.Event()

    def run() -> None:
        end = _End()
        try:
            for chunk in chunks:
                queue.put(chunk)
                if is_stopped.is_set():
                    break
        except BaseException as error:
            end = _End(error)
        queue.put(end)

    thread = threading.Thread(target=run, name="prefetch", daemon=True)
    thread.start()
    try:
        yield from _drain(queue)
    finally:
        is_stopped.set()
        while thread.is_alive():
            _empty(queue)
            thread.join(0.001)


def _drain(queue: "Queue[bytes | _End]") -> Iterator[bytes]:
    while True:
        item = queue.get()
        if isinstance(item, bytes):
            yield item
        elif item.error is None:
            return
        else:
            raise item.error


def _empty(queue: "Queue[bytes | _End]") -> None:
    while not queue.empty():
        queue.get_nowait()


class Sha256:
    """A digest that a thread of its own computes."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._queue: Queue[bytes | None] = Queue(_DEPTH)
        self._thread = threading.Thread(target=self._run, name="sha256", daemon=True)
        self._thread.start()
        self.size = 0

    def of(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Give the chunks on, digested."""
        for chunk in chunks:
            self.update(chunk)
            yield chunk

    def update(self, chunk: bytes) -> None:
        """Take one more chunk, which must not change any more."""
        self.size += len(chunk)
        self._queue.put(chunk)

    def digest(self) -> str:
        """Return `sha256:…` of everything; ends the thread."""
        self.close()
        return f"sha256:{self._hash.hexdigest()}"

    def close(self) -> None:
        """End the thread."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (chunk := self._queue.get()) is not None:
            self._hash.update(chunk)
