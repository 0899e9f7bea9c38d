"""Sockets and deadlines of the resolver, served by one thread (standard library only)."""

import heapq
import select
import socket
import time
from collections.abc import Callable

Callback = Callable[[], None]


class Loop:
    """Calls back when a socket can be read or written, or a time has come."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._ready: dict[int, tuple[Callback, bool]] = {}
        self._timers: list[tuple[float, int, Callback]] = []
        self._count = 0

    def watch(
        self, item: socket.socket, callback: Callback, *, write: bool = False, first: bool = False
    ) -> None:
        """Call `callback` whenever the socket is ready; those watched `first` go before others."""
        mask = select.EPOLLOUT if write else select.EPOLLIN
        if item.fileno() in self._ready:
            self._epoll.modify(item.fileno(), mask)
        else:
            self._epoll.register(item.fileno(), mask)
        self._ready[item.fileno()] = (callback, first)

    def forget(self, item: socket.socket) -> None:
        """Stop watching and close the socket; one that was closed already is no failure."""
        number = item.fileno()
        if number in self._ready:
            del self._ready[number]
            self._epoll.unregister(number)
        item.close()

    def after(self, seconds: float, callback: Callback) -> None:
        """Call `callback` once, later."""
        self._count += 1
        heapq.heappush(self._timers, (time.monotonic() + seconds, self._count, callback))

    def step(self) -> None:
        """Wait for something and serve it."""
        wait = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else -1
        numbers = [number for number, _ in self._epoll.poll(wait)]
        numbers.sort(key=lambda number: number in self._ready and not self._ready[number][1])
        for number in numbers:
            if number in self._ready:
                self._ready[number][0]()
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()
