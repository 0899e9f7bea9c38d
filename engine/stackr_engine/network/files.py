"""The texts of a container's resolv.conf and hosts file, as Docker writes them (pure)."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_interface

from stackr_schemas.container import ContainerSpec
from stackr_schemas.errors import StackrError
from stackr_schemas.network import Endpoint

from stackr_engine.network.dns_redirect import ADDRESS

HEADER = "# Written by stackr when the container starts.\n"
LOCALHOST = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""
HOST_GATEWAY = "host-gateway"


def _lines(text: str, keyword: str) -> list[list[str]]:
    """The values of each line that begins with `keyword`."""
    words = (line.split("#")[0].split(";")[0].split() for line in text.splitlines())
    return [line[1:] for line in words if line[:1] == [keyword]]


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address.split("%")[0]).is_loopback
    except ValueError:
        return True


def resolv_conf(spec: ContainerSpec, host_resolv_conf: str) -> str:
    """The container's resolv.conf: what it asks for before what the host's file says.

    A container with networks asks the engine's resolver, which asks `spec.dns` or the host's
    nameservers itself; one in the host's network asks them directly.
    """
    uses_resolver = spec.network_mode == "bridge"
    servers = [words[0] for words in _lines(host_resolv_conf, "nameserver") if words]
    if spec.network_mode == "none":
        servers = [server for server in servers if not _is_loopback(server)]
    servers = [ADDRESS] if uses_resolver else list(spec.dns) or servers
    # The last line wins, see resolv.conf(5).
    search = list(spec.dns_search) or next(iter(_lines(host_resolv_conf, "search")[-1:]), [])
    options = list(spec.dns_options)
    if not options:
        options = [word for words in _lines(host_resolv_conf, "options") for word in words]
    if uses_resolver and not any(option.startswith("ndots:") for option in options):
        # Names of services have no dots and shall be asked for as they are first.
        options.append("ndots:0")
    text = HEADER + "".join(f"nameserver {server}\n" for server in servers)
    if search and search != ["."]:
        text += f"search {' '.join(search)}\n"
    return text + (f"options {' '.join(options)}\n" if options else "")


def hosts_file(
    spec: ContainerSpec,
    hostname: str,
    endpoints: Sequence[Endpoint] = (),
    host_gateway: str = "",
    host_hosts: str = "",
) -> str:
    """The container's hosts file; `host_hosts` is the host's, for a container in its network.

    `host_gateway` is what the name of that kind in `extra_hosts` stands for. Raises StackrError
    if it is asked for and there is none.
    """
    text = HEADER + LOCALHOST
    if spec.network_mode == "host" and host_hosts:
        text = host_hosts if host_hosts.endswith("\n") else host_hosts + "\n"
    for name, address in spec.extra_hosts:
        if address == HOST_GATEWAY and not host_gateway:
            raise StackrError(
                f"extra_hosts: {name}: the container has no network in which to reach the host",
                hint="host-gateway needs a network",
            )
        ip = host_gateway if address == HOST_GATEWAY else address
        text += f"{ip.strip('[]')}\t{name}\n"
    full = f"{hostname}.{spec.domainname} {hostname}" if spec.domainname else hostname
    for point in endpoints:
        for address in filter(None, (point.ipv4, point.ipv6)):
            text += f"{ip_interface(address).ip}\t{full}\n"
    return text
