"""Reads what a watched folder holds."""

import errno
import os
from collections.abc import Callable, Iterable

from stackr.watch.manifest import Kind, Stamp, stamp_of
from stackr.watch.rules import Rule

GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def look(path: str) -> Stamp | None:
    """Return the stamp of one entry; None where there is nothing that can be copied."""
    try:
        status = os.lstat(path)
        stamp = stamp_of(status.st_mode, status.st_size, status.st_mtime_ns, status.st_ino)
        if stamp is not None and stamp.kind is Kind.LINK:
            return Stamp(Kind.LINK, 0, link=os.readlink(path))  # noqa: PTH115 - Path rewrites it
    except OSError as error:
        if error.errno not in GONE:
            raise
        return None
    return stamp


def real_places(folder: str, paths: Iterable[str]) -> set[str]:
    """Cut each path off at the first name above it that is no folder.

    What is heard of a folder may come when a link has taken its place, and lead elsewhere.
    """
    folders: dict[str, bool] = {}

    def is_folder(path: str) -> bool:
        if path not in folders:
            stamp = look(f"{folder}/{path}")
            folders[path] = stamp is not None and stamp.kind is Kind.FOLDER
        return folders[path]

    def place(path: str) -> str:
        names = path.split("/")
        above = ("/".join(names[:count]) for count in range(1, len(names)))
        return next((one for one in above if not is_folder(one)), path)

    return {place(path) for path in paths}


def scan(rule: Rule, relative: str, enter: Callable[[str], None]) -> dict[str, Stamp]:
    """Return the wanted entries at and below a path; `enter` is told each folder before it is read.

    The watched folder itself is no entry.
    """
    found: dict[str, Stamp] = {}
    waiting = [relative]
    while waiting:
        path = waiting.pop()
        stamp = look(f"{rule.folder}/{path}")
        if stamp is not None and path and rule.wants(path):
            found[path] = stamp
        if stamp is not None and stamp.kind is Kind.FOLDER and rule.enters(path):
            enter(f"{rule.folder}/{path}".rstrip("/"))
            start = f"{path}/" if path else ""
            waiting += [start + name for name in _names(f"{rule.folder}/{path}")]
    return found


def _names(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except OSError as error:
        if error.errno not in GONE:
            raise
        return []
