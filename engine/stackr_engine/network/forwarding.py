"""Kernel switches that containers' traffic needs: forwarding, and 127.0.0.1 on our bridges."""

import socket
from collections.abc import Iterable
from pathlib import Path

from stackr_engine.network.store import NetworkStore

IPV4 = Path("/proc/sys/net/ipv4")
IPV6 = Path("/proc/sys/net/ipv6")
BOOT = Path("/proc/sys/kernel/random/boot_id")


def _write(file: Path, value: str) -> None:
    if file.read_text().strip() != value:
        file.write_text(value)


def enable_ipv4(store: NetworkStore, ours: str) -> None:
    """Let the host forward; first record the links between which it did not.

    The rules keep those apart, so that a host does not become a router between its own
    networks because it runs containers. `ours` is the prefix of our links.
    """
    if (IPV4 / "ip_forward").read_text().strip() == "1":
        return
    names = [name for _, name in socket.if_nameindex() if not name.startswith((ours, "lo"))]
    store.record_uplinks(BOOT.read_text().strip(), names)
    _write(IPV4 / "ip_forward", "1")


def uplinks(store: NetworkStore) -> Iterable[str]:
    """The links to keep apart, if it was us who enabled forwarding since this boot."""
    return store.uplinks(BOOT.read_text().strip()) or ()


def enable_ipv6() -> None:
    """Let the host forward IPv6, keeping the routes that its own router announces."""
    if not IPV6.exists() or (IPV6 / "conf/all/forwarding").read_text().strip() == "1":
        return
    for link in (IPV6 / "conf").iterdir():
        # A router does not listen to router advertisements (1), unless told to (2): without this
        # the host would lose its own default route.
        accept = link / "accept_ra"
        if link.name not in ("all", "default") and accept.read_text().strip() == "1":
            accept.write_text("2")
    _write(IPV6 / "conf/all/forwarding", "1")


def allow_loopback(bridge: str) -> None:
    """Let connections from 127.0.0.1 be translated into this bridge (see `ruleset`, `guard`)."""
    _write(IPV4 / "conf" / bridge / "route_localnet", "1")


def without_ipv6(link: str) -> None:
    """Turn IPv6 off on a link of the calling thread's network namespace."""
    switch = IPV6 / "conf" / link / "disable_ipv6"
    if IPV6.exists():
        switch.write_text("1")
