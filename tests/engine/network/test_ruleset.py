from collections.abc import Sequence

import pytest
from stackr_engine.network import ruleset
from stackr_engine.network.lease import Taken, new_leases
from stackr_engine.network.nftables import Element
from stackr_engine.network.ports import port_rules
from stackr_engine.network.ruleset import BridgeRule, PortRule
from stackr_engine.network.store import Lease, by_gateway_rank
from stackr_schemas.container import Attachment, PublishedPort
from stackr_schemas.errors import StackrError
from stackr_schemas.network import Endpoint, IpamPool, NetworkSpec, NetworkState


def lease(network: str, *, priority: int = 0, gateway: str = "10.0.0.1", **more: str) -> Lease:
    fields = {"ipv4": "10.0.0.2/24", "gateway": gateway} | more
    point = Endpoint(
        network_id=network, network=network, interface="eth0", host_interface="", mac="", **fields
    )
    return Lease("box", point, priority)


def published(host_ip: str = "", **more: str) -> list[tuple[str, str]]:
    port = PublishedPort(container_port=80, host_port=8080, host_ip=host_ip)
    return [(rule.host_ip, rule.ip) for rule in port_rules(port, lease("a", **more))]


def test_a_port_is_published_for_the_ip_versions_that_the_container_has() -> None:
    six = {"ipv6": "fd00::2/64"}
    assert published() == [("", "10.0.0.2")]
    assert published(**six) == [("", "10.0.0.2"), ("", "fd00::2")]
    assert published("0.0.0.0", **six) == [("0.0.0.0", "10.0.0.2")]
    assert published("::", **six) == [("::", "fd00::2")]
    assert published("192.0.2.1", **six) == [("192.0.2.1", "10.0.0.2")]
    for address in ("::", "::1", "2001:db8::1"):
        with pytest.raises(StackrError, match="has no IPv6"):
            published(address)
    with pytest.raises(StackrError, match="::1"):
        published("::1", **six)


def test_the_way_out_is_chosen_by_gateway_then_priority_then_name() -> None:
    order: Sequence[Lease] = by_gateway_rank(
        [lease("d", gateway=""), lease("b"), lease("a"), lease("c", priority=5)]
    )
    assert [item.endpoint.network for item in order] == ["c", "a", "b", "d"]


def test_bridges_stand_in_the_sets_that_their_options_ask_for() -> None:
    plain = ruleset.bridge_elements(BridgeRule("sk1", ("10.0.0.0/24", "fd00::/64")))
    assert set(plain) == {"bridges", "talking", "ours4", "hidden4", "ours6", "hidden6"}
    assert plain["ours4"] == [Element(bytes([10, 0, 0, 0]), end=bytes([10, 0, 1, 0]))]
    internal = ruleset.bridge_elements(BridgeRule("sk1", ("10.0.0.0/24",), is_internal=True))
    assert set(internal) == {"bridges", "talking", "ours4", "internal"}
    silent = BridgeRule("sk1", ("10.0.0.0/24",), is_hidden=False, can_talk=False)
    assert set(ruleset.bridge_elements(silent)) == {"bridges", "ours4"}
    last = ruleset.bridge_elements(BridgeRule("sk1", ("255.255.255.0/24",)))
    assert last["ours4"] == [Element(bytes([255, 255, 255, 0]))]


def test_ports_stand_in_the_map_of_their_kind() -> None:
    rules = {
        "port4": PortRule("tcp", "0.0.0.0", 80, "10.0.0.2", 8080),
        "port4_at": PortRule("udp", "127.0.0.1", 80, "10.0.0.2", 8080),
        "port6": PortRule("tcp", "", 80, "fd00::2", 8080),
        "port6_at": PortRule("tcp", "fd00::1", 80, "fd00::2", 8080),
    }
    for name, rule in rules.items():
        assert list(ruleset.port_elements(rule)) == [name]
    assert ruleset.port_elements(rules["port4"])["port4"] == [
        Element(b"\x06\0\0\0\0\x50\0\0", b"\x0a\0\0\x02\x1f\x90\0\0")
    ]


def network(name: str) -> NetworkState:
    pool = IpamPool(subnet="10.0.0.0/24", gateway="10.0.0.1")
    spec = NetworkSpec(name=name, pools=(pool,))
    return NetworkState(id=name, created=0, bridge="sk", spec=spec)


def test_interfaces_are_named_in_order_around_those_asked_for() -> None:
    places = [
        (Attachment(network="a"), network("a")),
        (Attachment(network="b", interface="eth0"), network("b")),
        (Attachment(network="c"), network("c")),
        (Attachment(network="a"), network("a")),
    ]
    taken = {name: Taken({}, {}) for name in "abc"}
    made = new_leases("box", places, [], taken, "sv1234")
    assert [item.endpoint.interface for item in made] == ["eth1", "eth0", "eth2"]
    assert taken["a"].ipv4 == {"10.0.0.2": "box"}
    again = new_leases("other", places[:1], [], taken, "sv1234")
    assert again[0].endpoint.ipv4 == "10.0.0.3/24"
    assert again[0].endpoint.mac == "02:42:0a:00:00:03"
    assert new_leases("box", places, made, taken, "sv1234") == []
