"""Processes are told apart by their start, and holders of ports are named."""

import os
import re
import signal
import socket
from pathlib import Path

import pytest
from stackr_engine.processes import (
    boot_id,
    command,
    holder_of_port,
    host_memory,
    is_alive,
    pss,
    start_time,
)

NOBODY = 4_190_000


def test_a_process_is_known_by_its_start() -> None:
    began = start_time(os.getpid())
    assert began is not None
    assert began > (start_time(1) or 0)
    assert is_alive(os.getpid(), began)
    assert not is_alive(os.getpid(), began - 1)


def test_nobody_has_no_facts() -> None:
    assert start_time(NOBODY) is None
    assert not is_alive(NOBODY, 1)
    assert command(NOBODY) is None
    assert pss(NOBODY) == 0


def test_a_zombie_is_not_alive_but_still_has_its_start() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    began = start_time(pid)
    assert began is not None
    assert not is_alive(pid, began)
    os.waitpid(pid, 0)


def test_a_name_with_spaces_and_parentheses_does_not_confuse(tmp_path: Path) -> None:
    program = tmp_path / "a ) R 1 (x"
    program.symlink_to("/bin/sleep")
    pid = os.posix_spawn(str(program), [str(program), "100"], {})
    try:
        while command(pid) != "a ) R 1 (x":
            os.sched_yield()
        assert (start_time(pid) or 0) >= (start_time(os.getpid()) or 0)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_the_boot_has_a_name() -> None:
    assert re.fullmatch(r"[0-9a-f-]{36}", boot_id())


def test_memory_is_told_in_bytes() -> None:
    status = Path("/proc/self/status").read_text()
    resident = int(status.partition("VmRSS:")[2].split()[0]) * 1024
    assert resident / 10 < pss(os.getpid()) <= resident * 1.2
    assert host_memory() == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("protocol", "family", "kind", "address"),
    [
        ("tcp", socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1"),
        ("tcp", socket.AF_INET6, socket.SOCK_STREAM, "::1"),
        ("udp", socket.AF_INET, socket.SOCK_DGRAM, "127.0.0.1"),
        ("udp", socket.AF_INET6, socket.SOCK_DGRAM, "::"),
    ],
)
def test_who_holds_a_port_is_named(protocol: str, family: int, kind: int, address: str) -> None:
    with socket.socket(family, kind) as held:
        held.bind((address, 0))
        port = held.getsockname()[1]
        if protocol == "tcp":
            held.listen()
        me = f"pid {os.getpid()} ({command(os.getpid())})"
        assert holder_of_port(protocol, port) == me
        assert holder_of_port(protocol, port, address) == me
        other = holder_of_port(protocol, port, "192.0.2.1")
        assert other == (me if address == "::" else None)
    assert holder_of_port(protocol, port) is None
