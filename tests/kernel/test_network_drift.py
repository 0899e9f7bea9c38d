"""What someone changed behind the engine's back is seen, and put right."""

import subprocess
from collections.abc import Iterator

import pytest
from stackr_engine.network import namespace
from stackr_engine.paths import Paths
from stackr_schemas.container import Attachment, PublishedPort
from stackr_schemas.network import NetworkSpec

from tests.kernel.netns import Machine, answers, serve_tcp, tool

pytestmark = pytest.mark.requires("root", "nft")


@pytest.fixture
def machine(paths: Paths) -> Iterator[Machine]:
    with Machine.on(paths) as machine:
        machine.networks.create(NetworkSpec(name="front", enable_ipv6=True))
        machine.container("web", "front")
        ports = [PublishedPort(container_port=80), PublishedPort(container_port=53, protocol="udp")]
        machine.networks.publish("web", ports)
        yield machine


def seen(machine: Machine) -> list[str]:
    return [str(deviation) for deviation in machine.networks.observe()]


def nft(machine: Machine, *words: str) -> None:
    first, *rest = words
    command = ["nft", *first.split(), "inet", machine.paths.instance, *rest]
    subprocess.run(command, check=True, capture_output=True)


def test_what_was_made_is_as_recorded(machine: Machine) -> None:
    assert seen(machine) == []
    machine.networks.create(NetworkSpec(name="private", internal=True))
    machine.networks.reconcile()
    assert seen(machine) == []


def test_a_changed_bridge_is_seen_and_repaired(machine: Machine) -> None:
    network = machine.networks.find("front")
    gateway = f"{network.spec.pools[0].gateway}/16"
    tool("address", "delete", gateway, "dev", network.bridge)
    tool("link", "set", network.bridge, "down")
    assert seen(machine)[:2] == [
        "network front: bridge is down",
        f"network front: bridge has no address {gateway}",
    ]
    machine.networks.reconcile()
    assert seen(machine) == []


def test_a_missing_bridge_is_seen_and_its_containers_are_joined_again(machine: Machine) -> None:
    network = machine.networks.find("front")
    tool("link", "delete", network.bridge)
    found = seen(machine)
    assert "network front: bridge is missing" in found
    machine.networks.reconcile()
    web = machine.networks.endpoints("web")[0]
    assert seen(machine) == []
    client = machine.container("client", "front")
    with serve_tcp(machine.paths.netns("web"), "0.0.0.0", 80):
        assert answers(client.path, web.ipv4.split("/")[0], 80)


def test_changed_rules_are_seen_and_repaired(machine: Machine) -> None:
    changes = {
        "flush chain|forward": "nftables: chain forward is not as it was made",
        "flush map|port4": "nftables: set port4 lacks 2 elements",
        "flush set|ours4": "nftables: set ours4 lacks 2 elements",
        "add element|internal|{ lo }": "nftables: set internal has 1 foreign elements",
        "delete table": f"nftables: table {machine.paths.instance} is missing",
    }
    for change, wanted in changes.items():
        nft(machine, *change.split("|"))
        assert seen(machine) == [wanted]
        machine.networks.reconcile()
        assert seen(machine) == []


def test_a_changed_endpoint_is_seen_and_attached_again(machine: Machine) -> None:
    point = machine.networks.endpoints("web")[0]
    with namespace.entered(machine.paths.netns("web")):
        tool("address", "delete", point.ipv4, "dev", "eth0")
    assert seen(machine) == [f"container web in network front: address {point.ipv4} is missing"]
    machine.networks.attach("web", [Attachment(network="front")])
    assert seen(machine) == []
    with namespace.entered(machine.paths.netns("web")):
        tool("link", "delete", "eth0")
    found = seen(machine)
    assert f"container web in network front: link {point.host_interface} is missing" in found
    machine.networks.attach("web", [Attachment(network="front")])
    assert seen(machine) == []
    tool("link", "set", point.host_interface, "nomaster")
    assert len(seen(machine)) == 1
    machine.networks.reconcile()
    assert seen(machine) == []
