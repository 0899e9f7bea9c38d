"""Carries the engine's events to whoever listens."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stackr_schemas.events import Event


class Bus:
    """Every subscriber gets every event from the moment it subscribed, in order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: list[queue.SimpleQueue[Any]] = []

    def emit(self, event: Event) -> None:
        """Hand one event to all subscribers; never blocks."""
        with self._lock:
            for subscriber in self._queues:
                subscriber.put(event)

    @contextmanager
    def subscribe(
        self, into: "queue.SimpleQueue[Any] | None" = None
    ) -> "Iterator[queue.SimpleQueue[Any]]":
        """Give a queue, or fill a given one, with what happens inside the `with` block."""
        subscriber: queue.SimpleQueue[Any] = queue.SimpleQueue() if into is None else into
        with self._lock:
            self._queues.append(subscriber)
        try:
            yield subscriber
        finally:
            with self._lock:
                self._queues.remove(subscriber)
