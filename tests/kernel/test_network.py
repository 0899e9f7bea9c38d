"""Networks as the kernel has them: addresses, reachability and isolation between namespaces."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from stackr_engine.network import namespace
from stackr_engine.network.inventory import links
from stackr_engine.network.netlink import NetlinkSocket
from stackr_engine.paths import Paths
from stackr_engine.state import State
from stackr_schemas.container import Attachment, PublishedPort
from stackr_schemas.errors import Conflict, NotFound
from stackr_schemas.network import IpamPool, NetworkSpec

from tests.kernel.netns import Machine, answers, can_connect, hears, serve_tcp, tool

pytestmark = pytest.mark.requires("root")


@pytest.fixture
def machine(paths: Paths) -> Iterator[Machine]:
    with Machine.on(paths) as machine:
        yield machine


def test_containers_of_one_network_reach_each_other(machine: Machine) -> None:
    machine.networks.create(NetworkSpec(name="front"))
    web, client = (machine.container(name, "front") for name in ("web", "client"))
    with serve_tcp(web.path, "0.0.0.0", 80):
        assert answers(client.path, web.ip, 80) == client.ip


def test_networks_are_isolated(machine: Machine) -> None:
    for name in ("front", "back"):
        machine.networks.create(NetworkSpec(name=name))
    web, client = machine.container("web", "front"), machine.container("client", "back")
    with serve_tcp(web.path, "0.0.0.0", 80):
        assert not can_connect(client.path, web.ip, 80)


def test_a_container_in_two_networks_reaches_both(machine: Machine) -> None:
    for name in ("front", "back"):
        machine.networks.create(NetworkSpec(name=name))
    web, store = machine.container("web", "front"), machine.container("store", "back")
    middle = machine.container("middle", "front")
    machine.networks.attach("middle", [Attachment(network="back")])
    with serve_tcp(web.path, "0.0.0.0", 80), serve_tcp(store.path, "0.0.0.0", 80):
        assert answers(middle.path, web.ip, 80)
        assert answers(middle.path, store.ip, 80)


def test_traffic_to_other_hosts_carries_the_hosts_address(machine: Machine) -> None:
    machine.networks.create(NetworkSpec(name="front"))
    client, other = machine.container("client", "front"), machine.other_host()
    with serve_tcp(other.path, "0.0.0.0", 80):
        assert answers(client.path, other.ip, 80) == other.gateway


def test_an_internal_network_has_no_way_out(machine: Machine) -> None:
    machine.networks.create(NetworkSpec(name="private", internal=True))
    client, other = machine.container("client", "private"), machine.other_host()
    with serve_tcp(other.path, "0.0.0.0", 80):
        assert not can_connect(client.path, other.ip, 80)
        # Not even with a route of its own.
        machine.route(client, other.subnet)
        assert not can_connect(client.path, other.ip, 80)
    assert not hears(other.path, other.ip, client.path, (other.ip, 7000))


def test_other_hosts_reach_no_container_directly(machine: Machine) -> None:
    machine.networks.create(NetworkSpec(name="front"))
    web, other = machine.container("web", "front"), machine.other_host()
    with serve_tcp(web.path, "0.0.0.0", 80):
        assert not can_connect(other.path, web.ip, 80)


def test_ipv6_works_where_it_is_enabled(machine: Machine) -> None:
    machine.networks.create(NetworkSpec(name="six", enable_ipv6=True))
    web, client = (machine.container(name, "six") for name in ("web", "client"))
    with serve_tcp(web.path, "::", 80):
        assert answers(client.path, web.ipv6, 80) == client.ipv6
    machine.networks.create(NetworkSpec(name="four"))
    only4 = machine.container("only4", "four")
    with namespace.entered(only4.path), NetlinkSocket() as inside:
        eth0 = next(link for link in links(inside) if link.name == "eth0")
        assert eth0.is_up
        assert "eth0" not in Path("/proc/thread-self/net/if_inet6").read_text()


def test_the_network_of_highest_gw_priority_is_the_way_out(machine: Machine) -> None:
    for name in ("aaa", "bbb", "ccc"):
        machine.networks.create(NetworkSpec(name=name))
    machine.networks.open_namespace("box")
    first, second = machine.networks.attach(
        "box", [Attachment(network="bbb"), Attachment(network="aaa")]
    )
    assert machine.default_gateway("box") == second.gateway
    (third,) = machine.networks.attach("box", [Attachment(network="ccc", gw_priority=1)])
    assert machine.default_gateway("box") == third.gateway
    machine.networks.detach("box", "ccc")
    assert machine.default_gateway("box") == second.gateway
    machine.networks.detach("box", "aaa")
    assert machine.default_gateway("box") == first.gateway


def test_interfaces_have_the_names_and_addresses_asked_for(machine: Machine) -> None:
    pool = IpamPool(subnet="10.213.40.0/24", ip_range="10.213.40.128/25", gateway="10.213.40.9")
    machine.networks.create(NetworkSpec(name="front", pools=(pool,)))
    machine.networks.create(NetworkSpec(name="back"))
    machine.networks.open_namespace("box")
    wanted = Attachment(network="front", ipv4="10.213.40.7", mac="02:00:00:00:00:07")
    front, back = machine.networks.attach(
        "box", [wanted, Attachment(network="back", interface="data0")]
    )
    assert (front.interface, front.ipv4, front.gateway) == ("eth0", "10.213.40.7/24", "10.213.40.9")
    with namespace.entered(machine.paths.netns("box")), NetlinkSocket() as inside:
        found = {link.name: link.mac for link in links(inside)}
    assert found["eth0"] == "02:00:00:00:00:07"
    assert found["data0"] == back.mac
    assert machine.container("other", "front").ip == "10.213.40.128"


def test_a_taken_address_is_refused_and_leaves_nothing(machine: Machine) -> None:
    pool = IpamPool(subnet="10.213.41.0/24")
    machine.networks.create(NetworkSpec(name="front", pools=(pool,)))
    machine.networks.create(NetworkSpec(name="back"))
    for name in ("first", "second"):
        machine.networks.open_namespace(name)
    wanted = [Attachment(network="back"), Attachment(network="front", ipv4="10.213.41.5")]
    machine.networks.attach("first", wanted)
    with pytest.raises(Conflict, match=r"10\.213\.41\.5 in network front is in use by .* first"):
        machine.networks.attach("second", wanted)
    assert machine.networks.endpoints("second") == []
    with namespace.entered(machine.paths.netns("second")), NetlinkSocket() as inside:
        assert [link.name for link in links(inside)] == ["lo"]


def test_names_and_subnets_are_had_once(machine: Machine) -> None:
    machine.networks.create(NetworkSpec(name="front", pools=(IpamPool(subnet="10.213.42.0/24"),)))
    with pytest.raises(Conflict, match="front exists"):
        machine.networks.create(NetworkSpec(name="front"))
    with pytest.raises(Conflict, match=r"10\.213\.0\.0/16 overlaps 10\.213\.42\.0/24"):
        machine.networks.create(NetworkSpec(name="wide", pools=(IpamPool(subnet="10.213.0.0/16"),)))
    assert [network.spec.name for network in machine.networks.list()] == ["front"]


def test_a_bridge_may_have_a_name_but_not_that_of_another_link(machine: Machine) -> None:
    name = f"br-{machine.paths.tag}"
    option = {"com.docker.network.bridge.name": name}
    assert machine.networks.create(NetworkSpec(name="front", options=option)).bridge == name
    web, client = (machine.container(item, "front") for item in ("web", "client"))
    with serve_tcp(web.path, "0.0.0.0", 80):
        assert answers(client.path, web.ip, 80)
    other = f"mine-{machine.paths.tag}"
    tool("link", "add", other, "type", "bridge")
    try:
        option = {"com.docker.network.bridge.name": other}
        with pytest.raises(Conflict, match=f"a link named {other} exists"):
            machine.networks.create(NetworkSpec(name="back", options=option))
        assert other in {link for _, link in socket.if_nameindex()}
    finally:
        tool("link", "delete", other)
    assert [network.spec.name for network in machine.networks.list()] == ["front"]


def test_containers_that_may_not_talk_do_not(machine: Machine) -> None:
    option = {"com.docker.network.bridge.enable_icc": "false"}
    machine.networks.create(NetworkSpec(name="front", options=option))
    web, client, other = (*(machine.container(n, "front") for n in "ab"), machine.other_host())
    with serve_tcp(web.path, "0.0.0.0", 80), serve_tcp(other.path, "0.0.0.0", 80):
        assert not can_connect(client.path, web.ip, 80)
        assert answers(client.path, other.ip, 80)
        assert answers(None, web.ip, 80)


def test_a_network_in_use_stays(machine: Machine) -> None:
    machine.networks.create(NetworkSpec(name="front"))
    machine.container("web", "front")
    with pytest.raises(Conflict, match="in use by web"):
        machine.networks.remove("front")
    machine.networks.close_namespace("web")
    machine.networks.remove("front")
    with pytest.raises(NotFound):
        machine.networks.find("front")


def test_the_next_engine_makes_what_the_kernel_lost(machine: Machine) -> None:
    machine.networks.create(NetworkSpec(name="front", enable_ipv6=True))
    web = machine.container("web", "front")
    with serve_tcp(web.path, "0.0.0.0", 80):
        machine.networks.publish("web", [PublishedPort(container_port=80, host_port=19180)])
        before = machine.rules()
        subprocess.run(["nft", "delete", "table", "inet", machine.paths.instance], check=True)
        bridge = machine.networks.find("front").bridge
        subprocess.run(["ip", "address", "flush", "dev", bridge], check=True)
        with machine.another_engine() as networks:
            networks.reconcile()
            assert machine.rules() == before
            assert networks.endpoints("web") == machine.networks.endpoints("web")
            assert answers(None, "127.0.0.1", 19180)


def test_after_a_reboot_everything_is_made_again_with_the_same_addresses(machine: Machine) -> None:
    machine.networks.create(NetworkSpec(name="front"))
    web = machine.container("web", "front")
    before = machine.networks.endpoints("web")
    bridge = machine.networks.find("front").bridge
    subprocess.run(["ip", "link", "delete", bridge], check=True)
    namespace.remove(web.path)
    with machine.another_engine() as networks:
        networks.reconcile()
        networks.open_namespace("web")
        assert networks.attach("web", [Attachment(network="front")]) == before
        client = machine.container("client", "front")
        with serve_tcp(web.path, "0.0.0.0", 80):
            assert answers(client.path, web.ip, 80)


def test_a_bridge_that_no_record_names_is_removed(machine: Machine) -> None:
    network = machine.networks.create(NetworkSpec(name="front"))
    database = State(machine.paths.database)
    with database.transaction() as connection:
        connection.execute("DELETE FROM network")
    database.close()
    machine.networks.reconcile()
    with NetlinkSocket() as route:
        assert network.bridge not in {link.name for link in links(route)}


def test_a_failed_attach_leaves_no_lease(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.networks.create(NetworkSpec(name="front"))
    machine.networks.open_namespace("box")
    with pytest.raises(OSError, match="make veth"):
        machine.networks.attach("box", [Attachment(network="front", interface="x" * 20)])
    assert machine.networks.endpoints("box") == []
    assert machine.networks.attach("box", [Attachment(network="front")])


def test_many_containers_are_attached_in_one_call(machine: Machine) -> None:
    machine.networks.create(NetworkSpec(name="front"))
    names = [f"box{number}" for number in range(5)]
    for name in names:
        machine.networks.open_namespace(name)
    made = machine.networks.attach_many({name: [Attachment(network="front")] for name in names})
    addresses = {point.ipv4 for points in made.values() for point in points}
    assert len(addresses) == 5
    assert machine.networks.holders() == set(names)
