"""What the engine is asked to connect: one network, and what became of it."""

from typing import Literal

from pydantic import Field

from stackr_schemas.container import Frozen


class IpamPool(Frozen):
    """One subnet to give addresses from; an empty `gateway` takes the first usable address."""

    subnet: str
    gateway: str = ""
    ip_range: str = ""
    aux_addresses: dict[str, str] = Field(default_factory=dict)


class NetworkSpec(Frozen):
    """One network as it is wanted; no `pools`: the engine chooses a free IPv4 subnet."""

    name: str
    driver: Literal["bridge"] = "bridge"
    internal: bool = False
    enable_ipv4: bool = True
    enable_ipv6: bool = False
    pools: tuple[IpamPool, ...] = ()
    options: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)


class Endpoint(Frozen):
    """One attachment as it was made: addresses with prefix length, interface names."""

    network_id: str
    network: str
    interface: str
    host_interface: str
    mac: str
    ipv4: str = ""
    ipv6: str = ""
    gateway: str = ""
    gateway6: str = ""
    aliases: tuple[str, ...] = ()


class NetworkState(Frozen):
    """One network as it exists."""

    id: str
    """64 hexadecimal digits."""
    created: float
    """Seconds since the epoch."""
    bridge: str
    """The bridge's link name."""
    spec: NetworkSpec
    """As it was asked for, `pools` filled in with what was chosen."""
