"""Tells where something changed: watchfiles, woken by a bell instead of looking all the time.

watchfiles looks for news at a fixed step, so that a short one costs CPU while nothing happens. The
bell is an inotify instance of our own that is waited for; it also hears what happens in a folder
so new that watchfiles does not watch it yet.
"""

import errno
import os
import select
from collections.abc import Callable, Generator, Iterable

import watchfiles
from stackr_engine.inotify import (
    IN_CREATE,
    IN_MODIFY,
    IN_MOVED_TO,
    IN_ONLYDIR,
    IN_Q_OVERFLOW,
    Inotify,
)

_IN_ATTRIB, _IN_MOVED_FROM, _IN_DELETE = 0x4, 0x40, 0x200
_CONTENT = IN_CREATE | IN_MODIFY | IN_MOVED_TO | _IN_MOVED_FROM | _IN_DELETE
_CHANGES = _CONTENT | _IN_ATTRIB | IN_ONLYDIR
_STEP = 3
"""Milliseconds without news after which what has changed is told."""
_LONGEST = 50
"""Milliseconds after which it is told although more keeps coming."""
_LOOK, _LOOK_ANYWAY = 0.3, 5.0
"""Seconds until watchfiles is asked without a bell: where there is none, and where there is."""
_LIMIT = (errno.ENOSPC, errno.EMFILE)


class Notices:
    """What happens in some folders and below, until closed."""

    def __init__(self, folders: Iterable[str], say: Callable[[str], None]):
        self._folders = list(dict.fromkeys(folders))
        self._names: dict[int, str] = {}
        self._say = say
        self._poll = select.poll()
        self._bell: Inotify | None = None
        self._changes = self._watch(polling=False)
        try:
            self._bell = Inotify()
            self._poll.register(self._bell.fd, select.POLLIN)
            next(self._changes)  # from here on it watches
        except OSError as error:
            if error.errno not in _LIMIT and "limit" not in str(error):
                raise
            self._look_instead()

    def close(self) -> None:
        """Let go of all watches."""
        self._changes.close()
        if self._bell is not None:
            self._poll.unregister(self._bell.fd)
            os.close(self._bell.fd)
            self._bell = None

    def enter(self, folder: str) -> None:
        """Hear what happens in one folder; call it before reading the folder."""
        if self._bell is None:
            return
        try:
            self._names[self._bell.add(folder, _CHANGES)] = folder
        except OSError as error:
            if error.errno in _LIMIT:
                self._look_instead()

    def wait(self, wake: int, timeout: float) -> set[str]:
        """Wait for changes, `wake` to be readable or `timeout` seconds; return what changed.

        A watched folder itself stands for anything below it.
        """
        self._poll.register(wake, select.POLLIN)
        patience = min(timeout, _LOOK if self._bell is None else _LOOK_ANYWAY)
        self._poll.poll(patience * 1000)
        return {path for _, path in next(self._changes)} | self._ring()

    def _ring(self) -> set[str]:
        found: set[str] = set()
        while self._bell is not None and select.select([self._bell.fd], [], [], 0)[0]:
            for event in self._bell.read():
                if event.mask & IN_Q_OVERFLOW:
                    found |= set(self._folders)
                elif event.name and event.watch in self._names:
                    found.add(f"{self._names[event.watch]}/{event.name}")
        return found

    def _watch(self, polling: bool) -> Generator[set[tuple[watchfiles.Change, str]], None, None]:
        return watchfiles.watch(
            *self._folders,
            watch_filter=None,
            debounce=_LONGEST,
            step=_STEP,
            rust_timeout=1,
            yield_on_timeout=True,
            force_polling=polling,
            raise_interrupt=False,
        )

    def _look_instead(self) -> None:
        self._say(
            "warning: too many folders for this host's limit: looking for changes now and then; "
            "`sysctl fs.inotify.max_user_watches=1048576` raises the limit"
        )
        self.close()
        self._changes = self._watch(polling=True)
        next(self._changes)
