"""What can be done with a container's control groups, whichever version of them the host has."""

import errno
import os
import select
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stackr_schemas.container import Resources
from stackr_schemas.errors import StackrError

from stackr_engine.cgroup.devices import DeviceRule

REMOVE_TIMEOUT = 10.0
"""Seconds in which killed processes must be gone."""


@dataclass(frozen=True)
class Group:
    """One container's place: a process enters by writing "0" to each of `procs_files`.

    `path` is its folder (v1: of the memory hierarchy); `oom_file` has the `oom_kill` count.
    """

    name: str
    path: str
    procs_files: tuple[str, ...]
    oom_file: str


@dataclass(frozen=True)
class Stats:
    """What a container uses now.

    `cpu_ns` and the io figures (bytes) count from its start; `memory` is bytes without the page
    cache that can go at once, as `docker stats` shows it; `memory_limit` is the machine's memory
    where there is no smaller limit.
    """

    cpu_ns: int
    memory: int
    memory_limit: int
    pids: int
    io_read: int
    io_write: int


class Cgroups(ABC):
    """All groups of one engine, a folder below the engine's own for each container."""

    @abstractmethod
    def create(
        self, group: str, resources: Resources, devices: Sequence[DeviceRule] | None = ()
    ) -> Group:
        """Make a group; `devices` are allowed besides the default ones, None allows all.

        Raise StackrError where the host cannot hold a limit; nothing is left then.
        """

    @abstractmethod
    def group(self, group: str) -> Group:
        """Return the group of a running container."""

    @abstractmethod
    def update(self, group: str, resources: Resources) -> None:
        """Bring other limits into a group; what is None becomes unlimited."""

    @abstractmethod
    def read(self, group: str) -> Resources:
        """Return the limits as the kernel holds them: rounded, and None where they are default."""

    @abstractmethod
    def kill(self, group: str) -> None:
        """Send SIGKILL to every process, also to those that fork meanwhile; do not wait."""

    @abstractmethod
    def freeze(self, group: str) -> None:
        """Stop all processes where they are, and return when they stand still."""

    @abstractmethod
    def thaw(self, group: str) -> None:
        """Let frozen processes go on."""

    @abstractmethod
    def pids(self, group: str) -> list[int]:
        """Return the processes, also those in groups that the container made below its own."""

    @abstractmethod
    def stats(self, group: str) -> Stats:
        """Return what the group uses now."""

    @abstractmethod
    def oom_kills(self, group: str) -> int:
        """Count the processes that the kernel killed for want of memory."""

    @abstractmethod
    def remove(self, group: str) -> None:
        """Kill what is left, wait for it and remove the group; none to remove is no error."""

    @abstractmethod
    def remove_parent(self) -> None:
        """Remove the engine's own folder, unless there are groups in it."""

    @abstractmethod
    def list(self) -> set[str]:
        """Return the names of all groups that exist."""


def make_folder(path: str) -> None:
    """Call mkdir(2); raise StackrError where groups may not be made at all."""
    try:
        os.mkdir(path)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        raise StackrError(
            f"no control group can be made: {path}: {error.strerror}",
            hint="run as root, with /sys/fs/cgroup mounted writable",
        ) from None


def write(path: str, text: str) -> None:
    """Write to a kernel file; an OSError names it."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(fd)


def write_limit(path: str, value: int | str) -> None:
    """Write a limit; raise StackrError with what stands in the way."""
    name = Path(path).name
    try:
        write(path, str(value))
    except FileNotFoundError:
        controller = name.partition(".")[0]
        raise StackrError(
            f"{name} cannot be set: the host has no {controller} controller here",
            hint="see /proc/cgroups; some hosts need a kernel parameter (cgroup_enable=memory)",
        ) from None
    except OSError as error:
        hint = "the processes already use more" if error.errno == errno.EBUSY else None
        message = f"the kernel refuses {value} for {name}: {error.strerror}"
        raise StackrError(message, hint=hint) from error


def read(path: str) -> str:
    """Return a kernel file's text without the last newline."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = list(iter(lambda: os.read(fd, 65536), b""))
    finally:
        os.close(fd)
    return b"".join(pieces).decode().rstrip("\n")


def read_keyed(path: str) -> dict[str, int]:
    """Return a file of `name number` lines."""
    return {key: int(value) for key, value in (line.split() for line in read(path).splitlines())}


def folders(path: str) -> Iterator[str]:
    """Yield a group's folder and all below it, the deepest first."""
    try:
        names = [entry.name for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return
    for name in names:
        yield from folders(f"{path}/{name}")
    yield path


def pids_in(path: str) -> list[int]:
    """Return the processes in a group's folder and below."""
    found: list[int] = []
    for folder in folders(path):
        try:
            found += (int(line) for line in read(f"{folder}/cgroup.procs").split())
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP):
                raise
    return found


def kill_each(path: str, place: str) -> None:
    """Signal every process in a folder until there is none that was not signalled.

    `place` ends the lines of /proc/PID/cgroup of those who belong here.
    """
    signalled: set[int] = set()
    while new := set(pids_in(path)) - signalled:
        for pid in new:
            _kill(pid, place)
        signalled |= new


def _kill(pid: int, place: str) -> None:
    """A pidfd first: a number read from a file may be another process's by now."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if place in read(f"/proc/{pid}/cgroup"):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):
        pass
    finally:
        os.close(pidfd)


def wait_for_end(pids: Sequence[int], deadline: float) -> None:
    """Sleep until the processes have ended or the deadline (of the monotonic clock) is over."""
    for pid in pids:
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            poller = select.poll()
            poller.register(pidfd, select.POLLIN)
            poller.poll(max(0.0, deadline - time.monotonic()) * 1000)
        finally:
            os.close(pidfd)


def remove_folder(path: str) -> bool:
    """Remove a group's folder if no process is in it or below; tell whether it is gone."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
            raise
        return _remove_below(path)
    return True


def _remove_below(path: str) -> bool:
    """A container may have made groups of its own below; they go first."""
    try:
        for folder in folders(path):
            os.rmdir(folder)
    except FileNotFoundError:
        return not Path(path).exists()
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
            raise
        return False
    return True


def wait_until_removed(path: str) -> None:
    """Remove a folder whose processes were killed, waiting for their end.

    A process leaves its group shortly after others see its end, in which time rmdir answers
    EBUSY: so there are short pauses between attempts, longer each time.
    """
    deadline = time.monotonic() + REMOVE_TIMEOUT
    pause = 0.0005
    while not remove_folder(path):
        if time.monotonic() > deadline:
            raise StackrError(f"{path} cannot be removed: processes {pids_in(path)} do not end")
        wait_for_end(pids_in(path), deadline)
        time.sleep(pause)
        pause = min(2 * pause, 0.05)


def names_in(path: str) -> set[str]:
    """Return the names of the folders in a folder; of none where it does not exist."""
    try:
        return {entry.name for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)}
    except FileNotFoundError:
        return set()
