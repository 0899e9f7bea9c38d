"""Kernel switches that containers' traffic needs: forwarding, and 127.0.0.1 on our bridges."""

import socket
from collections.abc import Collection
from pathlib import Path

from stackr_engine.network.store import NetworkStore
from stackr_engine.processes import boot_id

IPV4 = Path("/proc/sys/net/ipv4")
IPV6 = Path("/proc/sys/net/ipv6")
SWITCHES = {4: IPV4 / "ip_forward", 6: IPV6 / "conf/all/forwarding"}


def _write(file: Path, value: str) -> None:
    if file.read_text().strip() != value:
        file.write_text(value)


def _links(ours: str) -> set[str]:
    return {name for _, name in socket.if_nameindex() if not name.startswith((ours, "lo"))}


def enable(store: NetworkStore, version: int, ours: str) -> None:
    """Let the host forward; first record the links between which it did not.

    The rules keep those apart, so that a host does not become a router between its own
    networks because it runs containers. `ours` is the prefix of our links.
    """
    switch = SWITCHES[version]
    if not switch.exists() or switch.read_text().strip() != "0":
        return
    store.record_uplinks(boot_id(), version, _links(ours))
    if version == 6:
        _keep_listening_to_routers()
    switch.write_text("1")


def _keep_listening_to_routers() -> None:
    for link in (IPV6 / "conf").iterdir():
        # A router does not listen to router advertisements (1), unless told to (2): without this
        # the host would lose its own default route.
        accept = link / "accept_ra"
        if link.name not in ("all", "default") and accept.read_text().strip() == "1":
            accept.write_text("2")


def disable(store: NetworkStore, ours: str, leaving: Collection[str]) -> None:
    """Put back what `enable` found, unless a link has come since that may need forwarding."""
    for version, switch in SWITCHES.items():
        recorded = store.uplinks(boot_id(), version)
        if recorded is not None and _links(ours) - set(leaving) <= set(recorded):
            _write(switch, "0")
            store.forget_uplinks(version)


def uplinks(store: NetworkStore, version: int) -> Collection[str]:
    """The links to keep apart, if it was us who enabled forwarding since this boot."""
    return store.uplinks(boot_id(), version) or ()


def allow_loopback(bridge: str) -> None:
    """Let connections from 127.0.0.1 be translated into this bridge (see `ruleset`, `guard`)."""
    _write(IPV4 / "conf" / bridge / "route_localnet", "1")


def without_ipv6(link: str) -> None:
    """Turn IPv6 off on a link of the calling thread's network namespace."""
    if IPV6.exists():
        _write(IPV6 / "conf" / link / "disable_ipv6", "1")
