"""The rules as `nft` reads them from the kernel: our encoder against another implementation."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from stackr_engine.network import namespace, nftables, ruleset
from stackr_engine.network.netlink import NetlinkSocket
from stackr_engine.network.nftables import Family, Hook, Table, commit
from stackr_engine.network.ruleset import BridgeRule, PortRule

pytestmark = pytest.mark.requires("root", "nft")
TABLE = Table("stackr-test")

RULES = """\
chain guard {
type filter hook prerouting priority raw; policy accept;
iifname @bridges ip daddr 127.0.0.0/8 drop
}
chain forward {
type filter hook forward priority filter; policy accept;
iifname . oifname @talking accept
iifname @internal drop
oifname @internal drop
oifname @bridges ct status dnat accept
oifname @bridges ct state established,related accept
oifname @bridges drop
meta nfproto ipv4 iifname @uplinks4 oifname @uplinks4 drop
meta nfproto ipv6 iifname @uplinks6 oifname @uplinks6 drop
}
chain publish {
dnat ip to meta l4proto . ip daddr . th dport map @port4_at
meta nfproto ipv4 dnat ip to meta l4proto . th dport map @port4
dnat ip6 to meta l4proto . ip6 daddr . th dport map @port6_at
meta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @port6
}
chain prerouting {
type nat hook prerouting priority dstnat; policy accept;
ip daddr 127.0.0.0/8 return
fib daddr type local jump publish
}
chain output {
type nat hook output priority dstnat; policy accept;
fib daddr type local jump publish
}
chain postrouting {
type nat hook postrouting priority srcnat; policy accept;
oifname @bridges fib saddr type local masquerade
ip saddr @ours4 ct status dnat masquerade
ip6 saddr @ours6 ct status dnat masquerade
ip saddr @hidden4 oifname != @bridges masquerade
ip6 saddr @hidden6 oifname != @bridges masquerade
}
"""


@pytest.fixture
def netfilter(tmp_path: Path) -> Iterator[NetlinkSocket]:
    """A socket in a network namespace of this test's own."""
    with namespace.created(tmp_path / "netns"), nftables.netfilter_socket() as netfilter:
        yield netfilter
    namespace.remove(tmp_path / "netns")


def nft(*command: str) -> str:
    return subprocess.run(["nft", *command], check=True, capture_output=True, text=True).stdout


def in_sets() -> dict[str, list[object]]:
    """Elements by set, as JSON of nft."""
    objects = json.loads(nft("-j", "list", "table", "inet", TABLE.name))["nftables"]
    sets = [item.get("set") or item.get("map") for item in objects]
    return {item["name"]: item["elem"] for item in sets if item and "elem" in item}


def everything() -> ruleset.Elements:
    return ruleset.merged(
        [
            ruleset.bridge_elements(BridgeRule("sk1", ("10.213.1.0/24", "fd00:1::/64"))),
            ruleset.bridge_elements(BridgeRule("sk2", ("10.213.2.0/24",), is_internal=True)),
            ruleset.port_elements(PortRule("tcp", "", 8080, "10.213.1.2", 80)),
            ruleset.port_elements(PortRule("udp", "127.0.0.1", 53, "10.213.1.2", 5353)),
            ruleset.port_elements(PortRule("tcp", "", 8080, "fd00:1::2", 80)),
            ruleset.port_elements(PortRule("sctp", "fd00::1", 9, "fd00:1::2", 10)),
            ruleset.uplink_elements(4, ["eth0"]),
        ]
    )


def test_nft_reads_the_rules_that_we_mean(netfilter: NetlinkSocket) -> None:
    commit(netfilter, ruleset.rebuild(TABLE, everything()))
    text = nft("list", "table", "inet", TABLE.name)
    lines = [
        line.strip().replace("priority -100;", "priority dstnat;") for line in text.splitlines()
    ]
    start = lines.index("chain guard {")
    assert [line for line in lines[start:] if line][:-1] == RULES.splitlines()


def test_nft_reads_the_elements_that_we_mean(netfilter: NetlinkSocket) -> None:
    commit(netfilter, ruleset.rebuild(TABLE, everything()))

    def subnet(address: str, length: int) -> object:
        return {"prefix": {"addr": address, "len": length}}

    def pair(key: list[object], data: list[object]) -> object:
        return [{"concat": key}, {"concat": data}]

    found = in_sets()
    assert sorted(found.pop("bridges")) == ["sk1", "sk2"]  # type: ignore[type-var]
    assert {str(item) for item in found.pop("talking")} == {
        str({"concat": [name, name]}) for name in ("sk1", "sk2")
    }
    assert found == {
        "internal": ["sk2"],
        "uplinks4": ["eth0"],
        "ours4": [subnet("10.213.1.0", 24), subnet("10.213.2.0", 24)],
        "ours6": [subnet("fd00:1::", 64)],
        "hidden4": [subnet("10.213.1.0", 24)],
        "hidden6": [subnet("fd00:1::", 64)],
        "port4": [pair(["tcp", 8080], ["10.213.1.2", 80])],
        "port4_at": [pair(["udp", "127.0.0.1", 53], ["10.213.1.2", 5353])],
        "port6": [pair(["tcp", 8080], ["fd00:1::2", 80])],
        "port6_at": [pair(["sctp", "fd00::1", 9], ["fd00:1::2", 10])],
    }


def test_rebuilding_replaces_what_is_there(netfilter: NetlinkSocket) -> None:
    commit(netfilter, ruleset.rebuild(TABLE, everything()))
    before = nft("list", "ruleset")
    nft("add", "rule", "inet", TABLE.name, "forward", "drop")
    nft("flush", "map", "inet", TABLE.name, "port4")
    commit(netfilter, ruleset.rebuild(TABLE, everything()))
    assert nft("list", "ruleset") == before


def test_elements_come_and_go(netfilter: NetlinkSocket) -> None:
    commit(netfilter, ruleset.rebuild(TABLE, {}))
    commit(netfilter, ruleset.add(TABLE, everything()))
    commit(netfilter, ruleset.add(TABLE, everything()))
    assert len(in_sets()) == 12
    commit(netfilter, ruleset.delete(TABLE, everything()))
    assert in_sets() == {}


def test_thousands_of_ports_are_one_transaction(netfilter: NetlinkSocket) -> None:
    rules = [PortRule("tcp", "", port, "10.213.1.2", port) for port in range(1, 5001)]
    elements = ruleset.merged(ruleset.port_elements(rule) for rule in rules)
    commit(netfilter, ruleset.rebuild(TABLE, elements))
    found = nftables.elements(netfilter, TABLE, "port4")
    assert found == {(item.key, item.data) for item in elements["port4"]}


def test_a_transaction_that_fails_changes_nothing(netfilter: NetlinkSocket) -> None:
    commit(netfilter, ruleset.rebuild(TABLE, everything()))
    before = nft("list", "ruleset")
    one = ruleset.port_elements(PortRule("tcp", "", 1, "10.213.1.2", 1))
    taken = ruleset.port_elements(PortRule("tcp", "", 8080, "10.213.1.9", 1))
    with pytest.raises(OSError, match="add elements to port4 in nftables table stackr-test"):
        commit(netfilter, ruleset.add(TABLE, one) + ruleset.add(TABLE, taken))
    assert nft("list", "ruleset") == before


def test_a_table_is_deleted_with_everything_and_may_be_missing(netfilter: NetlinkSocket) -> None:
    assert not TABLE.exists(netfilter)
    commit(netfilter, ruleset.rebuild(TABLE, everything()))
    assert TABLE.exists(netfilter)
    commit(netfilter, [TABLE.add(), TABLE.delete()])
    assert nft("list", "ruleset") == ""
    commit(netfilter, [TABLE.add(), TABLE.delete()])


def test_a_base_chain_hangs_where_it_is_said(netfilter: NetlinkSocket) -> None:
    table = Table("four", Family.IPV4)
    chain = nftables.Chain("c", [], Hook.INPUT, priority=-5)
    commit(netfilter, [table.add(), *table.add_chains([chain])])
    assert "type filter hook input priority filter - 5; policy accept;" in nft("list", "ruleset")
