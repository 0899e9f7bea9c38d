"""The three standard streams of a process that is about to run."""

from __future__ import annotations

import os
import stat
from fcntl import ioctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stackr_engine.spawn.users import User

NONE = -1
"""In place of a stream: the container's own /dev/null."""


def inside(streams: list[int], user: User) -> list[int]:
    """Fill in /dev/null, and give pipes to the user.

    Otherwise a program that is not root could write to its stdout but not open /dev/stdout.
    """
    opened = []
    for fd in streams:
        if fd == NONE:
            # The host's /dev/null must not come along: nodes are judged by where they are.
            opened.append(os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW))
            continue
        opened.append(fd)
        if user.uid and stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.fchown(fd, user.uid, -1)
    return opened


def install(streams: list[int], is_terminal: bool) -> None:
    """Start a session, put the streams at 0, 1 and 2, and make a terminal the controlling one."""
    os.setsid()
    for number, fd in enumerate(streams):
        os.dup2(fd, number, inheritable=True)
    if is_terminal:
        ioctl(0, 0x540E, 0)  # TIOCSCTTY
