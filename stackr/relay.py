"""Carries bytes between a client's streams and a container's, in one poll loop."""

import os
import select
from collections.abc import Callable
from contextlib import suppress
from functools import partial

CHUNK = 65536


class Relay:
    """Copies between descriptors until its outputs have ended, or there is a reason to stop.

    Descriptors of the client's are only read when poll says so and the last bytes are gone: what
    the container does not want stays with the client, and a program that does not read its input
    is still heard.
    """

    def __init__(self) -> None:
        self._poller = select.poll()
        self._inputs: dict[int, tuple[int, Callable[[], object]]] = {}
        self._outputs: dict[int, Callable[[bytes], None]] = {}
        self._pending: dict[int, tuple[bytes, int]] = {}
        """Target of an input → what it was not ready to take, and where that came from."""
        self._wake, self._waker = os.pipe()
        self._poller.register(self._wake, select.POLLIN)
        self._ends = {self._wake}

    def add_input(self, source: int, target: int, end: Callable[[], object]) -> None:
        """Carry what is read from `source`, and call `end` at its end.

        The relay itself does not wait for that; `target` becomes non-blocking.
        """
        os.set_blocking(target, False)
        self._inputs[source] = target, end
        self._poller.register(source, select.POLLIN)

    def add_output(self, source: int, target: int) -> None:
        """Carry what is read from `source`; the relay ends when every output has ended."""
        self._outputs[source] = partial(write_all, target)
        self._poller.register(source, select.POLLIN)

    def add_frames(self, source: int, stdout: int, stderr: int) -> None:
        """Carry a container's attached output: each packet begins with its stream's number."""
        targets = {1: stdout, 2: stderr}
        self._outputs[source] = lambda data: write_all(targets[data[0]], data[1:])
        self._poller.register(source, select.POLLIN)

    def stop(self) -> None:
        """End the relay from another thread, once what is there to read has been carried."""
        with suppress(OSError):
            os.write(self._waker, b"\n")

    def stop_with(self, pidfd: int) -> None:
        """End the relay once that process has ended, even if a child of it holds an output."""
        self._ends.add(pidfd)
        self._poller.register(pidfd, select.POLLIN)

    def run(self) -> None:
        """Carry until the outputs have ended or there is a reason to stop."""
        try:
            while self._outputs:
                ready = dict(self._poller.poll())
                has_output = bool(ready.keys() & self._outputs.keys())
                for fd, events in ready.items():
                    self._handle(fd, events)
                if ready.keys() & self._ends and not has_output:
                    return
        finally:
            os.close(self._wake)
            os.close(self._waker)

    def _handle(self, fd: int, events: int) -> None:
        if fd in self._outputs and events & ~select.POLLOUT:
            self._show(fd)
        if fd in self._pending and events & ~select.POLLIN:
            data, source = self._pending.pop(fd)
            self._feed(source, data)
        elif fd in self._inputs and self._inputs[fd][0] not in self._pending:
            self._feed(fd, _read(fd))

    def _feed(self, source: int, data: bytes) -> None:
        """Write what was read from an input; what does not fit waits for its target."""
        target, end = self._inputs[source]
        try:
            rest = data[os.write(target, data) :] if data else b""
        except BlockingIOError:
            rest = data
        except OSError:
            data = rest = b""  # nobody reads it any more
        if rest:
            self._pending[target] = rest, source
            self._unwatch(source)  # a closed pipe is always ready: it may not be asked at all
            self._watch(target)
        elif data:
            self._watch(target)
            self._poller.register(source, select.POLLIN)
        else:
            self._unwatch(source)
            del self._inputs[source]
            end()

    def _watch(self, target: int) -> None:
        """Watch an input's target as is needed now; a terminal is an output's source as well."""
        events = select.POLLOUT if target in self._pending else 0
        events |= select.POLLIN if target in self._outputs else 0
        if events:
            self._poller.register(target, events)
        else:
            self._unwatch(target)

    def _unwatch(self, fd: int) -> None:
        with suppress(KeyError):
            self._poller.unregister(fd)

    def _show(self, source: int) -> None:
        """Write what was read from an output; go on emptying it even when nobody reads it."""
        data = _read(source)
        if not data:
            self._poller.unregister(source)
            del self._outputs[source]
            return
        with suppress(OSError):
            self._outputs[source](data)


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, CHUNK)
    except OSError:  # EIO: the other side of a terminal was closed
        return b""


def write_all(fd: int, data: bytes) -> None:
    """Write every byte."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
