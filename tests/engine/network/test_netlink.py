"""Our messages, read by pyroute2."""

from ipaddress import ip_interface

import pytest
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg
from stackr_engine.network import link
from stackr_engine.network.netlink import Message, attribute, attributes_of, nested, text, u32


def read(kind: type, message: Message) -> dict[str, object]:
    decoded = kind(message.packed(7))
    decoded.decode()
    assert decoded["header"]["sequence_number"] == 7
    assert decoded["header"]["length"] == 16 + len(message.payload)
    return decoded  # type: ignore[no-any-return]


def attrs(decoded: object) -> dict[str, object]:
    return dict(decoded["attrs"])  # type: ignore[index]


def test_a_veth_is_one_message_with_its_peer() -> None:
    veth = link.Veth("svhost", "eth0", 5, 77, "02:42:0a:00:00:02", mtu=1400, group=9)
    add, quiet, join, port = link.veth_add(veth)
    made = attrs(read(ifinfmsg, add))
    assert (made["IFLA_IFNAME"], made["IFLA_MTU"], made["IFLA_GROUP"]) == ("svhost", 1400, 9)
    info = attrs(made["IFLA_LINKINFO"])
    assert info["IFLA_INFO_KIND"] == "veth"
    peer = attrs(attrs(info["IFLA_INFO_DATA"])["VETH_INFO_PEER"])
    assert peer["IFLA_IFNAME"] == "eth0"
    assert peer["IFLA_NET_NS_FD"] == 77
    assert peer["IFLA_ADDRESS"] == veth.mac
    joined = read(ifinfmsg, join)
    assert attrs(joined)["IFLA_MASTER"] == 5
    assert (joined["flags"], joined["change"]) == (1, 1)
    assert attrs(read(ifinfmsg, quiet))["IFLA_IFNAME"] == "svhost"
    slave = attrs(attrs(read(ifinfmsg, port))["IFLA_LINKINFO"])
    options = attrs(slave["IFLA_INFO_SLAVE_DATA"])
    assert (options["IFLA_BRPORT_MODE"], options["IFLA_BRPORT_ISOLATED"]) == (1, 0)


def test_a_bridge_is_made_named_and_set_up() -> None:
    add, name, up = link.bridge_add("sk1", "02:42:00:00:00:01", 0, "stackr network front")
    made = attrs(read(ifinfmsg, add))
    assert attrs(made["IFLA_LINKINFO"])["IFLA_INFO_KIND"] == "bridge"
    assert attrs(read(ifinfmsg, name))["IFLA_IFALIAS"] == "stackr network front"
    assert read(ifinfmsg, up)["flags"] == 1


@pytest.mark.parametrize(
    ("address", "broadcast"),
    [("10.0.0.2/24", "10.0.0.255"), ("10.0.0.2/32", None), ("fd00::2/64", None)],
)
def test_addresses(address: str, broadcast: str | None) -> None:
    decoded = read(ifaddrmsg, link.address_add(3, ip_interface(address)))
    assert (decoded["index"], decoded["prefixlen"]) == (3, int(address.split("/")[1]))
    assert attrs(decoded)["IFA_LOCAL"] == address.split("/")[0]
    assert attrs(decoded).get("IFA_BROADCAST") == broadcast


def test_a_default_route() -> None:
    decoded = read(rtmsg, link.default_route(3, "10.0.0.1"))
    assert (decoded["dst_len"], decoded["table"], decoded["type"]) == (0, 254, 1)
    assert attrs(decoded) == {"RTA_GATEWAY": "10.0.0.1", "RTA_OIF": 3}


def test_attributes_are_padded_and_read_back() -> None:
    packed = text(3, "abc") + u32(4, 7) + nested(5, attribute(1, b"x"), attribute(2, b""))
    assert len(packed) % 4 == 0
    found = attributes_of(packed)
    assert found[3] == b"abc\0"
    assert found[4] == b"\7\0\0\0"
    assert attributes_of(found[5]) == {1: b"x", 2: b""}
    assert attributes_of(b"\1\0\1\0") == {}
