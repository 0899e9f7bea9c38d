"""Users and groups by the container's own passwd and group files."""

from __future__ import annotations

import os
import stat

from stackr_engine.spawn.inside import open_inside

_MAX_ID = (1 << 31) - 1
_MAX_FILE = 16 * 1024 * 1024


class Unknown(Exception):
    """A user or group that the container's files do not know."""


class User:
    """Who a process runs as."""

    __slots__ = ("gid", "groups", "home", "uid")

    def __init__(self, uid: int, gid: int, groups: list[int], home: str):
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.home = home


def read_table(root: int, path: str, columns: int) -> list[list[str]]:
    """Read a colon-separated file of the container; what is no regular file counts as empty."""
    try:
        # O_NONBLOCK: an image may have put a pipe there, on which open(2) would wait for ever.
        fd = open_inside(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return []
    try:
        text = _read_all(fd) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    finally:
        os.close(fd)
    rows = [line.strip().split(":") for line in text.decode(errors="replace").splitlines()]
    return [row for row in rows if len(row) >= columns and not row[0].startswith("#")]


def _read_all(fd: int) -> bytes:
    parts = [b""]
    while (part := os.read(fd, 1 << 16)) and len(parts) * (1 << 16) < _MAX_FILE:
        parts.append(part)
    return b"".join(parts)


def _number(text: str) -> int | None:
    """A valid id, or None where the text is a name; ids beyond 2³¹-1 are refused."""
    if not text.isascii() or not text.isdigit():
        return None
    if int(text) > _MAX_ID:
        raise Unknown(f"uids and gids must be in range 0-{_MAX_ID}")
    return int(text)


def user_for(spec: str, extra: list[str], passwd: list[list[str]], group: list[list[str]]) -> User:
    """Decide who `spec` ("user", "uid", either with ":group" or ":gid") is, as Docker does.

    `extra` are further groups by name or number. Rows are those of passwd(5) and group(5).
    """
    name, colon, group_name = spec.partition(":")
    row = _find(name or "0", passwd)
    uid = _number(name or "0") if row is None else _field(row, 2)
    if uid is None:
        raise Unknown(f"unable to find user {name}: no matching entries in passwd file")
    gid = 0 if row is None else _field(row, 3) or 0
    groups: list[int] = []
    if colon and group_name:
        gid = _gid(group_name, group)
    elif row is not None:
        groups = [_field(entry, 2) or 0 for entry in group if row[0] in entry[3].split(",")]
    groups += [_gid(item, group) for item in extra]
    home = row[5] if row is not None and len(row) > 5 else ""
    # The primary group is among the others too: else dropping it would get around a file's
    # permissions that deny that group.
    return User(uid, gid, list(dict.fromkeys([gid, *groups])), home or "/")


def _find(name: str, rows: list[list[str]]) -> list[str] | None:
    by_name = next((row for row in rows if row[0] == name), None)
    by_number = next((row for row in rows if row[2] == name and name.isdigit()), None)
    return by_name or by_number


def _field(row: list[str], index: int) -> int | None:
    try:
        return _number(row[index])
    except IndexError:
        return None


def _gid(name: str, rows: list[list[str]]) -> int:
    row = _find(name, rows)
    gid = _number(name) if row is None else _field(row, 2)
    if gid is None:
        raise Unknown(f"unable to find group {name}: no matching entries in group file")
    return gid


def look_up(root: int, spec: str, extra: list[str]) -> User:
    """Find a user and groups in the files below `root`."""
    return user_for(
        spec, extra, read_table(root, "/etc/passwd", 4), read_table(root, "/etc/group", 4)
    )
