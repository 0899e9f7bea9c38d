"""Devices of the host that a container is given."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stackr_schemas.errors import StackrError

from stackr_engine.cgroup.devices import DeviceRule

_OWN = {"pts", "shm", "mqueue", "fd", "console", "ptmx"}
"""What each container has of its own in /dev."""


@dataclass(frozen=True)
class Device:
    """One device node: where the container sees it, which it is, and what may be done with it."""

    path: str
    type: Literal["c", "b"]
    major: int
    minor: int
    mode: int
    uid: int
    gid: int
    access: str = "rwm"

    @property
    def node(self) -> dict[str, Any]:
        """The entry of the OCI config's `linux.devices`."""
        numbers = {"type": self.type, "major": self.major, "minor": self.minor}
        return {
            "path": self.path,
            **numbers,
            "fileMode": self.mode,
            "uid": self.uid,
            "gid": self.gid,
        }

    @property
    def rule(self) -> DeviceRule:
        """What the cgroup has to allow."""
        return DeviceRule(self.type, self.major, self.minor, self.access)


def devices_for(texts: tuple[str, ...]) -> list[Device]:
    """Look devices up that are named as `HOST[:CONTAINER[:rwm]]`; a folder stands for all in it.

    Raise StackrError for what is no device.
    """
    return [device for text in texts for device in _devices(text)]


def _devices(text: str) -> Iterator[Device]:
    host, _, rest = text.partition(":")
    inside, _, access = rest.partition(":")
    if inside and set(inside) <= set("rwm"):
        inside, access = "", inside
    if not set(access) <= set("rwm"):
        raise StackrError(f'device "{text}": access is {access!r}', hint="letters of rwm")
    path = Path(host)
    if path.is_dir():
        for each in sorted(path.rglob("*")):
            if each.is_char_device() or each.is_block_device():
                place = f"{inside or host}/{each.relative_to(path)}"
                yield _device(each, place, access or "rwm")
        return
    yield _device(path, inside or host, access or "rwm")


def _device(path: Path, inside: str, access: str) -> Device:
    try:
        found = path.stat()
    except OSError as error:
        raise StackrError(f"device {path}: {error.strerror}") from None
    kind: Literal["c", "b"] | None = None
    if stat.S_ISCHR(found.st_mode):
        kind = "c"
    elif stat.S_ISBLK(found.st_mode):
        kind = "b"
    if kind is None:
        raise StackrError(f"{path} is no device", hint="to share a file or folder, mount it")
    major, minor = os.major(found.st_rdev), os.minor(found.st_rdev)
    mode = stat.S_IMODE(found.st_mode)
    return Device(inside, kind, major, minor, mode, found.st_uid, found.st_gid, access)


def all_devices() -> list[Device]:
    """List what a privileged container sees: every device of the host."""
    return [
        device
        for entry in sorted(Path("/dev").iterdir())
        if entry.name not in _OWN and not entry.is_symlink()
        for device in _all_below(entry)
    ]


def _all_below(path: Path) -> Iterator[Device]:
    if path.is_dir():
        yield from _devices(str(path))
    elif path.is_char_device() or path.is_block_device():
        yield _device(path, str(path), "rwm")
