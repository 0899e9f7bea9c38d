"""The small files by which a container's state survives its resident."""

from __future__ import annotations

import os

from stackr_engine.spawn import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PID = "pid.json"
EXIT = "exit.json"
ATTACH = "attach.sock"


def write(folder: str, file: str, value: dict[str, Any]) -> None:
    """Write a file whole, then rename it in: a reader sees the old or the new, never a part."""
    temporary = f"{folder}/.{file}.{os.getpid()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, wire.to_json(value))
    finally:
        os.close(fd)
    os.rename(temporary, f"{folder}/{file}")


def read(folder: str, file: str) -> dict[str, Any] | None:
    """Read such a file; None where there is none."""
    try:
        value: dict[str, Any] = wire.from_json(read_bytes(f"{folder}/{file}"))
    except FileNotFoundError:
        return None
    return value


def remove(folder: str, file: str) -> None:
    """Remove such a file if it is there."""
    try:
        os.unlink(f"{folder}/{file}")
    except FileNotFoundError:
        return


def read_bytes(path: str) -> bytes:
    """Read a file of /proc, /sys or a cgroup; open() would import codecs, here forbidden."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    parts = []
    try:
        while part := os.read(fd, 1 << 14):
            parts.append(part)
    finally:
        os.close(fd)
    return b"".join(parts)


def start_time(pid: int) -> int:
    """Return a process's start in clock ticks since boot: with the pid it names one process."""
    return identity(pid)[2]


def identity(pid: int) -> tuple[str, int, int]:
    """Return the name that ps shows for a process, its parent's pid, and its start time."""
    text = read_bytes(f"/proc/{pid}/stat")
    # The name may hold spaces and parentheses: it ends at the last one.
    end = text.rindex(b")")
    fields = text[end + 2 :].split()
    name = text[text.index(b"(") + 1 : end].decode(errors="replace")
    return name, int(fields[1]), int(fields[19])


def boot_id() -> str:
    """Return what changes with every boot of the host."""
    return read_bytes("/proc/sys/kernel/random/boot_id").decode().strip()


def oom_kills(file: str) -> int:
    """Read a cgroup's count of processes killed for want of memory; "" counts none."""
    if not file:
        return 0
    try:
        lines = read_bytes(file).splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(b"oom_kill "))
