"""Networks: those of the project, and a service's place in one."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from stackr_schemas.compose.forms import DriverOptions, Pairs, UniqueStrings, keyed
from stackr_schemas.compose.model import GIVEN, ComposeModel
from stackr_schemas.types import BareNumber, Bool


class IpamPool(ComposeModel):
    """One subnet to give addresses from."""

    subnet: str = ""
    gateway: str = ""
    ip_range: str = ""
    aux_addresses: dict[str, str] = Field(default_factory=dict)


class Ipam(ComposeModel):
    """How a network gives addresses."""

    driver: str = ""
    config: tuple[IpamPool, ...] = ()
    options: dict[str, str] = Field(default_factory=dict, exclude=True)
    """Checked, and not rendered: Docker Compose drops it."""


class Network(ComposeModel):
    """One network of the project."""

    name: str = ""
    driver: str = ""
    driver_opts: DriverOptions = Field(default_factory=dict)
    ipam: Annotated[Ipam | None, GIVEN] = None
    external: Bool = False
    internal: Bool = False
    attachable: Bool = False
    labels: Pairs = Field(default_factory=dict)
    enable_ipv4: Annotated[Bool | None, GIVEN] = None
    enable_ipv6: Annotated[Bool | None, GIVEN] = None


class ServiceNetwork(ComposeModel):
    """A service's place in one network."""

    priority: BareNumber = 0
    gw_priority: BareNumber = 0
    aliases: UniqueStrings = ()
    interface_name: str = ""
    ipv4_address: str = ""
    ipv6_address: str = ""
    link_local_ips: UniqueStrings = ()
    mac_address: str = ""
    driver_opts: DriverOptions = Field(default_factory=dict)


ServiceNetworks = Annotated[
    dict[str, ServiceNetwork | None],
    BeforeValidator(
        keyed(None), json_schema_input_type=list[str] | dict[str, ServiceNetwork | None]
    ),
]
