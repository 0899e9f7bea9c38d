"""Facts about processes, read from procfs: a process id alone never identifies one."""

from functools import cache
from pathlib import Path

PROC = Path("/proc")


@cache
def boot_id() -> str:
    """Return this boot's identifier: start times of another boot mean nothing now."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks after boot; None when there is none."""
    fields = _stat(pid)
    return None if fields is None else int(fields[19])


def is_alive(pid: int, started: int) -> bool:
    """Tell whether the process that started then still runs; a zombie does not."""
    fields = _stat(pid)
    return fields is not None and int(fields[19]) == started and fields[0] not in ("Z", "X")


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the third, the state, on; see proc(5)."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field, the command's name, may hold spaces and parentheses.
    return text.rpartition(")")[2].split()


def command(pid: int) -> str | None:
    """Return the name of a process's program, at most 15 characters; None when there is none."""
    try:
        return (PROC / str(pid) / "comm").read_text().rstrip("\n")
    except (FileNotFoundError, ProcessLookupError):
        return None


def pss(pid: int) -> int:
    """Return the bytes of memory that a process holds, shared pages in proportion; 0 when gone."""
    try:
        text = (PROC / str(pid) / "smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in _lines(text, "Pss:")), 0)


def host_memory() -> int:
    """Return the bytes of memory that this machine has."""
    text = (PROC / "meminfo").read_text()
    return next(int(line.split()[1]) * 1024 for line in _lines(text, "MemTotal:"))


def _lines(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(start)]
