"""Streams that are worked on by several threads: reading, digests and unpacking side by side.

hashlib, isal and zstd let the other threads run while they work.
"""

import hashlib
import threading
from collections.abc import Generator, Iterator
from queue import Empty, SimpleQueue
from typing import BinaryIO, Generic, TypeVar

_CHUNK = 1 << 20
_DEPTH = 6
"""Chunks between two threads: enough that neither waits for long."""
T = TypeVar("T")


class _Belt(Generic[T]):
    """A queue of at most `_DEPTH` things; made of two that are written in C, five times faster."""

    def __init__(self) -> None:
        self._things: SimpleQueue[T] = SimpleQueue()
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(_DEPTH):
            self._free.put(None)

    def put(self, thing: T) -> None:
        self._free.get()
        self._things.put(thing)

    def get(self) -> T:
        thing = self._things.get()
        self._free.put(None)
        return thing

    def clear(self) -> None:
        """Throw away what is in it, so that nobody waits to put something."""
        try:
            while True:
                self._things.get_nowait()
                self._free.put(None)
        except Empty:
            pass


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
    queue: _Belt[bytes | _End] = _Belt()
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
            queue.clear()
            thread.join(0.001)


def _drain(queue: "_Belt[bytes | _End]") -> Iterator[bytes]:
    while True:
        item = queue.get()
        if isinstance(item, bytes):
            yield item
        elif item.error is None:
            return
        else:
            raise item.error


class Sha256:
    """A digest that a thread of its own computes."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._queue: _Belt[bytes | None] = _Belt()
        self._thread = threading.Thread(target=self._run, name="sha256", daemon=True)
        self.size = 0

    def of(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Give the chunks on, digested."""
        for chunk in chunks:
            self.update(chunk)
            yield chunk

    def update(self, chunk: bytes) -> None:
        """Take one more chunk, which must not change any more."""
        if self._thread.ident is None:
            self._thread.start()  # not before: who gives up earlier has nothing to end
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
