"""The files in /etc that the engine keeps for a container, as Docker writes them."""

from collections.abc import Iterable, Sequence
from ipaddress import ip_interface

from stackr_schemas.container import ContainerSpec
from stackr_schemas.network import Endpoint

RESOLVER = "127.0.0.11"
LOCAL = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""


def hosts_text(
    hostname: str, endpoints: Sequence[Endpoint], extra_hosts: Iterable[tuple[str, str]]
) -> str:
    """Return /etc/hosts: the container's own name, and what the user added.

    `host-gateway` stands for the gateway of the first network that has one.
    """
    gateway = next((point.gateway for point in endpoints if point.gateway), "")
    lines = [
        f"{gateway if address == 'host-gateway' else address}\t{name}"
        for name, address in extra_hosts
        if gateway or address != "host-gateway"
    ]
    addresses = [text for point in endpoints for text in (point.ipv4, point.ipv6) if text]
    lines += [f"{ip_interface(address).ip}\t{hostname}" for address in addresses]
    return LOCAL + "".join(f"{line}\n" for line in lines)


def resolv_conf_text(spec: ContainerSpec, host: str, *, has_resolver: bool) -> str:
    """Return /etc/resolv.conf: the engine's resolver, or the host's own where there is none."""
    words = [line.split() for line in host.splitlines()]
    of_host = {key: [w for line in words if line[:1] == [key] for w in line[1:]] for key in KEYS}
    servers = [RESOLVER] if has_resolver else list(spec.dns or of_host["nameserver"])
    search = list(spec.dns_search or of_host["search"])
    search = [] if search == ["."] else search
    options = list(spec.dns_options or of_host["options"])
    if has_resolver and not any(option.startswith("ndots:") for option in options):
        options.append("ndots:0")
    lines = [f"nameserver {server}" for server in servers]
    lines += [f"search {' '.join(search)}"] if search else []
    lines += [f"options {' '.join(options)}"] if options else []
    return "".join(f"{line}\n" for line in lines)


KEYS = ("nameserver", "search", "options")
