"""Notices processes that end: one thread, asleep in epoll on their pidfds."""

import os
import select
import threading
import traceback
from collections.abc import Callable


class Exits:
    """Calls back, in its own thread, once for each watched pidfd whose process has ended."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        threading.Thread(target=self._run, name="exits", daemon=True).start()

    def watch(self, pidfd: int, callback: Callable[[], None]) -> None:
        """Take over a pidfd: it is closed after its process ended and the callback was called."""
        self._callbacks[pidfd] = callback
        self._epoll.register(pidfd, select.EPOLLIN | select.EPOLLONESHOT)

    def _run(self) -> None:
        while True:
            for pidfd, _ in self._epoll.poll():
                self._epoll.unregister(pidfd)
                callback = self._callbacks.pop(pidfd)
                os.close(pidfd)
                try:
                    callback()
                except Exception:
                    traceback.print_exc()  # the log; the other containers' ends still count
