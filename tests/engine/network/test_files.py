import pytest
from stackr_engine.network.files import hosts_file, resolv_conf
from stackr_schemas.container import ContainerSpec
from stackr_schemas.errors import StackrError
from stackr_schemas.network import Endpoint

HOST = """\
# a comment
search old.example
nameserver 127.0.0.53  # local
nameserver 192.0.2.1
search corp.example example
options edns0 trust-ad
"""
POINT = Endpoint(
    network_id="n",
    network="front",
    interface="eth0",
    host_interface="sv",
    mac="",
    ipv4="10.0.0.2/16",
    ipv6="fd00::2/64",
)


def spec(**fields: object) -> ContainerSpec:
    return ContainerSpec.model_validate({"name": "web", "image": "x"} | fields)


def written(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        (
            {},
            [
                "nameserver 127.0.0.11",
                "search corp.example example",
                "options edns0 trust-ad ndots:0",
            ],
        ),
        (
            {"dns": ("192.0.2.9",), "dns_search": ("a.example",), "dns_options": ("ndots:2",)},
            ["nameserver 127.0.0.11", "search a.example", "options ndots:2"],
        ),
        (
            {"dns_search": (".",), "dns_options": ("timeout:1",)},
            ["nameserver 127.0.0.11", "options timeout:1 ndots:0"],
        ),
        (
            {"network_mode": "host"},
            [
                "nameserver 127.0.0.53",
                "nameserver 192.0.2.1",
                "search corp.example example",
                "options edns0 trust-ad",
            ],
        ),
        (
            {"network_mode": "host", "dns": ("192.0.2.9",), "dns_search": (".",)},
            ["nameserver 192.0.2.9", "options edns0 trust-ad"],
        ),
        (
            {"network_mode": "none", "dns_search": (".",), "dns_options": ("a",)},
            ["nameserver 192.0.2.1", "options a"],
        ),
    ],
)
def test_resolv_conf(fields: dict[str, object], wanted: list[str]) -> None:
    assert written(resolv_conf(spec(**fields), HOST)) == wanted


def test_a_host_without_resolv_conf() -> None:
    assert written(resolv_conf(spec(), "")) == ["nameserver 127.0.0.11", "options ndots:0"]


def test_hosts_file() -> None:
    extra = (("db", "10.9.9.9"), ("host.docker.internal", "host-gateway"), ("six", "[::5]"))
    text = hosts_file(spec(extra_hosts=extra, domainname="lan"), "box", [POINT], "10.0.0.1")
    assert written(text) == [
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::\tip6-localnet",
        "ff00::\tip6-mcastprefix",
        "ff02::1\tip6-allnodes",
        "ff02::2\tip6-allrouters",
        "10.9.9.9\tdb",
        "10.0.0.1\thost.docker.internal",
        "::5\tsix",
        "10.0.0.2\tbox.lan box",
        "fd00::2\tbox.lan box",
    ]


def test_the_hosts_file_of_the_hosts_network_is_the_hosts() -> None:
    text = hosts_file(
        spec(network_mode="host", extra_hosts=(("db", "10.9.9.9"),)), "box", (), "", "1.2.3.4 me"
    )
    assert text == "1.2.3.4 me\n10.9.9.9\tdb\n"


def test_host_gateway_without_a_network_is_refused() -> None:
    with pytest.raises(StackrError, match="no network in which to reach the host"):
        hosts_file(spec(network_mode="none", extra_hosts=(("h", "host-gateway"),)), "box")
