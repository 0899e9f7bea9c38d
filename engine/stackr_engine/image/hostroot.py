"""This machine's own file system as an image: `/`, with what is private hidden.

The kernel refuses an overlay whose upper folder lies below its lower one. So one read-only overlay
of a mask over `/` is mounted once, and containers take that mount as their only lower folder.
Overlays stack two deep at most: where `/` is an overlay itself (we run inside a container), the
mask and `/` are given to the container's own overlay, whose upper folder then has to be elsewhere.
"""

import hashlib
import os
import threading
import time
from functools import cached_property
from pathlib import Path

from stackr_schemas.errors import StackrError

from stackr_engine.image.hostmask import HostMask, fingerprint
from stackr_engine.paths import DEFAULT_STATE, Paths
from stackr_engine.spawn.syscalls import MNT_DETACH, MS_RDONLY, MS_REMOUNT, mount, umount2

_LAYOUT = 1
"""Raise it when what is hidden changes: a mount that an older version made is then replaced."""

_MOST_STACKED = 8
_FRESH_FOR = 0.2
"""Seconds in which a second container may see the machine as the first one did."""


class HostRoot:
    """The shared mount; any process finds it by looking, so that none has to remember it."""

    def __init__(self, paths: Paths, root: Path = Path("/")):
        self._root = root
        self._state = paths.state
        self._private = (str(DEFAULT_STATE), str(paths.state), str(paths.run))
        self._mountpoint = paths.run / "hostroot"
        self._mask = paths.run / "hostmask"
        self._tag = paths.tag
        self._lock = threading.Lock()
        self._device = -1
        self._source = ""
        self._fresh_until = 0.0

    def lowers(self) -> tuple[str, ...]:
        """Return the lower folders of a container of this machine; mount what they need."""
        with self._lock:
            if self._is_overlay:
                return self._ensure_unstacked()
            if time.monotonic() >= self._fresh_until or not self._is_mounted():
                self._refresh()
            return (str(self._mountpoint),)

    def release(self) -> None:
        """Unmount; containers that run keep what they have."""
        with self._lock:
            self._device = -1
            _unmount_all(self._mountpoint)
            _unmount_all(self._mask)

    @cached_property
    def _is_overlay(self) -> bool:
        device = os.stat(self._root).st_dev
        return _type_of(f"{os.major(device)}:{os.minor(device)}") == "overlay"

    def _is_mounted(self) -> bool:
        try:
            return os.stat(self._mountpoint).st_dev == self._device
        except FileNotFoundError:
            return False

    def _refresh(self) -> None:
        source = self._source_now()
        if not (source == self._source and self._is_mounted()):
            if source not in _mount_sources(self._mountpoint)[-1:]:
                self._mount(source)
            self._device = os.stat(self._mountpoint).st_dev
            self._source = source
        # The overlay keeps what it looked up, also that a name was missing, while the machine
        # changes below it. A remount drops every entry that no container holds, in 10 µs.
        mount(source, str(self._mountpoint), "overlay", MS_REMOUNT | MS_RDONLY, "")
        self._fresh_until = time.monotonic() + _FRESH_FOR

    def _source_now(self) -> str:
        """Name the mount by what it hides, so that whoever finds it knows whether it will do."""
        hidden = "\0".join((*self._private, fingerprint(self._root)))
        return f"stackr-{self._tag}-{_LAYOUT}-{hashlib.sha256(hidden.encode()).hexdigest()[:16]}"

    def _mount(self, source: str) -> None:
        # An older one stays below the new one: a container that starts just now finds either.
        if len(_mount_sources(self._mountpoint)) >= _MOST_STACKED:
            _unmount_all(self._mountpoint)
        self._mount_mask(source)
        self._mountpoint.mkdir(mode=0o700, exist_ok=True)
        layers = f"lowerdir={self._mask}/files:{self._root}"
        try:
            mount(source, str(self._mountpoint), "overlay", MS_RDONLY, layers)
        except OSError as error:
            raise _unusable(error.strerror or str(error)) from error
        finally:
            _unmount_all(self._mask)  # the overlay holds its own clone of that mount

    def _mount_mask(self, source: str) -> None:
        _unmount_all(self._mask)
        self._mask.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Opaque folders need trusted.* attributes, which tmpfs always has and the disk may not.
        mount(source, str(self._mask), "tmpfs", 0, "mode=0755,size=16m")
        HostMask(self._mask / "files", self._root).fill(self._private)

    def _ensure_unstacked(self) -> tuple[str, ...]:
        if os.stat(self._state).st_dev == os.stat(self._root).st_dev:
            raise _unusable("/ and the state folder are on one overlay")
        source = self._source_now()
        if source not in _mount_sources(self._mask):
            self._mount_mask(source)
        return (str(self._mask / "files"), str(self._root))


def _mountinfo() -> list[list[str]]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split(" ") for line in lines]


def _mount_sources(mountpoint: Path) -> list[str]:
    """Name the sources of what is mounted exactly here, the uppermost last."""
    wanted = str(mountpoint).replace("\\", "\\134").replace(" ", "\\040")
    return [row[row.index("-") + 2] for row in _mountinfo() if row[4] == wanted]


def _type_of(device: str) -> str:
    return next((row[row.index("-") + 1] for row in _mountinfo() if row[2] == device), "")


def _unmount_all(mountpoint: Path) -> None:
    for _ in _mount_sources(mountpoint):
        umount2(str(mountpoint), MNT_DETACH)
    if mountpoint.is_dir():
        mountpoint.rmdir()


def _unusable(reason: str) -> StackrError:
    return StackrError(
        f"rootfs:/ cannot be used on this machine: {reason}",
        hint="use an image from `stackr load` or `stackr import`, or put the state folder on a "
        "file system of its own",
    )
