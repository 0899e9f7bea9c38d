"""Driver options of a bridge network, under Docker's names."""

from dataclasses import dataclass

from stackr_schemas.errors import StackrError
from stackr_schemas.network import NetworkSpec

PREFIX = "com.docker.network."
NAME = PREFIX + "bridge.name"
TALK = PREFIX + "bridge.enable_icc"
HIDE = PREFIX + "bridge.enable_ip_masquerade"
HOST_IP = PREFIX + "bridge.host_binding_ipv4"
MTU = PREFIX + "driver.mtu"
INTERFACE = PREFIX + "container_iface_prefix"


@dataclass(frozen=True, slots=True)
class BridgeOptions:
    """What the options say; defaults as Docker's."""

    name: str = ""
    can_talk: bool = True
    is_hidden: bool = True
    host_ip: str = ""
    mtu: int = 0
    interface_prefix: str = "eth"


def _truth(key: str, value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0"):
        raise StackrError(f"network option {key} must be true or false, not {value!r}")
    return value.lower() in ("true", "1")


def bridge_options(spec: NetworkSpec) -> BridgeOptions:
    """Read the options. Raises StackrError for one that is not supported."""
    options = dict(spec.options)
    mtu = options.pop(MTU, "0")
    found = BridgeOptions(
        name=options.pop(NAME, ""),
        can_talk=_truth(TALK, options.pop(TALK, "true")),
        is_hidden=_truth(HIDE, options.pop(HIDE, "true")),
        host_ip=options.pop(HOST_IP, "").replace("0.0.0.0", ""),
        mtu=int(mtu) if mtu.isdecimal() else -1,
        interface_prefix=options.pop(INTERFACE, "eth"),
    )
    if options:
        raise StackrError(
            f"network {spec.name}: driver option {next(iter(options))} is not supported",
            hint=f"supported: {', '.join((NAME, TALK, HIDE, HOST_IP, MTU, INTERFACE))}",
        )
    if not 0 <= found.mtu <= 65535:
        raise StackrError(f"network {spec.name}: {MTU} must be a number of bytes, not {mtu!r}")
    if len(found.name) > 15 or "/" in found.name:
        raise StackrError(f"network {spec.name}: {found.name!r} cannot be the name of a link")
    return found
