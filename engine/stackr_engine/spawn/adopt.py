"""Finding running containers again, from what their shims wrote."""

import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path

from stackr_engine.spawn import files
from stackr_engine.spawn.request import Started


@dataclass(frozen=True)
class Exit:
    """How a container ended; `finished_at` in nanoseconds since the epoch."""

    code: int
    signal: int
    finished_at: int
    oom_killed: bool


def read_exit(folder: Path) -> Exit | None:
    """Read how the container last ended; None: it runs, never ran, or its shim was killed."""
    value = files.read(str(folder), files.EXIT)
    return None if value is None else Exit(**value)


def find_running(folder: Path) -> Started | None:
    """Find the container's processes if they still run.

    A first process whose shim was killed is ended: nobody would hear of its exit.
    """
    value = files.read(str(folder), files.PID)
    if value is None or value.pop("boot_id") != files.boot_id():
        return None
    shim = open_process(value["shim_pid"], value["shim_start_time"])
    first = open_process(value["pid"], value["start_time"])
    if shim is not None and first is not None:
        return Started(**value, pidfd=shim, init_pidfd=first)
    if shim is not None:
        return _ending(value, shim)
    if first is not None:
        signal.pidfd_send_signal(first, signal.SIGKILL)
        os.close(first)
    return None


def _ending(value: dict[str, int], shim: int) -> Started:
    """The first process is gone and its shim about to write so: the shim stands for both."""
    return Started(**value, pidfd=shim, init_pidfd=os.dup(shim))


def open_process(pid: int, start_time: int) -> int | None:
    """Open a pidfd of the process that has this pid and this start time."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    try:
        # Looked at after opening: the descriptor now names the process that was looked at.
        if files.start_time(pid) == start_time and not is_ended(pidfd):
            return pidfd
    except (FileNotFoundError, ProcessLookupError):
        pass
    os.close(pidfd)
    return None


def is_ended(pidfd: int) -> bool:
    """Tell whether a process has ended, reaped or not."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(0))
