"""Facts about processes, read from procfs: a process id alone never identifies one."""

import ipaddress
import socket
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PROC = Path("/proc")
# A socket that waits: LISTEN for a connection; of a protocol without them, CLOSE (not connected).
WAITING = {"tcp": "0A", "udp": "07"}


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


def holder_of_port(protocol: str, port: int, address: str = "") -> str | None:
    """Say who waits at a host port, as "pid 123 (nginx)"; None where nobody is found.

    An address counts together with the wildcard, with which it cannot be shared.
    """
    wanted = set(_waiting_inodes(protocol, port, address))
    for folder in PROC.glob("[0-9]*") if wanted else ():
        if wanted & set(_socket_inodes(folder / "fd")):
            return f"pid {folder.name} ({command(int(folder.name))})"
    return None


def _waiting_inodes(protocol: str, port: int, address: str) -> Iterator[str]:
    """Yield the sockets at a port of this network namespace; see proc(5) for the files."""
    own = ipaddress.ip_address(address or "0.0.0.0")
    for family in ("", "6"):
        try:
            lines = (PROC / "net" / f"{protocol}{family}").read_text().splitlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            words = line.split()
            host, _, number = words[1].partition(":")
            if int(number, 16) != port or words[3] != WAITING.get(protocol):
                continue
            theirs = _address(host)
            if own.is_unspecified or theirs.is_unspecified or theirs == own:
                yield words[9]


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Read an address as 32-bit words in the machine's byte order; mapped ones as IPv4."""
    words = [int(text[place : place + 8], 16) for place in range(0, len(text), 8)]
    packed = b"".join(socket.ntohl(word).to_bytes(4) for word in words)
    address = ipaddress.ip_address(packed)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _socket_inodes(folder: Path) -> Iterator[str]:
    """Yield the sockets that a process has open; none where it ended or is another user's."""
    try:
        links = list(folder.iterdir())
    except OSError:
        return
    for link in links:
        try:
            target = str(link.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[8:-1]
