"""Carries the engine's events to whoever listens."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from stackr_schemas.events import Event


class Bus:
    """Every subscriber gets every event from the moment it subscribed, in order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: list[queue.SimpleQueue[Event]] = []

    def emit(self, event: Event) -> None:
        """Hand one event to all subscribers; never blocks."""
        with self._lock:
            for subscriber in self._queues:
                subscriber.put(event)

    @contextmanager
    def subscribe(self) -> "Iterator[queue.SimpleQueue[Event]]":
        """Give a queue of the events that happen inside the `with` block."""
        subscriber: queue.SimpleQueue[Event] = queue.SimpleQueue()
        with self._lock:
            self._queues.append(subscriber)
        try:
            yield subscriber
        finally:
            with self._lock:
                self._queues.remove(subscriber)
