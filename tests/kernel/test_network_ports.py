"""Published ports, from everywhere a client can be."""

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest
from stackr_engine.network.networks import Networks
from stackr_engine.paths import Paths
from stackr_engine.state import State
from stackr_schemas.container import PublishedPort
from stackr_schemas.errors import Conflict, StackrError
from stackr_schemas.network import NetworkSpec

from tests.kernel.netns import (
    Box,
    Machine,
    answers,
    answers_udp,
    can_connect,
    hears,
    inside,
    serve_tcp,
    serve_udp,
)

pytestmark = pytest.mark.requires("root", "nft")
PORT = 20000 + os.getpid() % 2000 * 5


@pytest.fixture
def machine(paths: Paths) -> Iterator[Machine]:
    with Machine.on(paths) as machine:
        machine.networks.create(NetworkSpec(name="front"))
        yield machine


@pytest.fixture
def web(machine: Machine) -> Iterator[Box]:
    box = machine.container("web", "front")
    with serve_tcp(box.path, "0.0.0.0", 80):
        yield box


def publish(machine: Machine, host_ip: str = "", **port: object) -> PublishedPort:
    wanted = {"container_port": 80, "host_port": PORT, "host_ip": host_ip} | port
    return machine.networks.publish("web", [PublishedPort.model_validate(wanted)])[0]


def test_the_host_reaches_a_published_port_at_all_its_addresses(machine: Machine, web: Box) -> None:
    assert not can_connect(None, "127.0.0.1", PORT)
    publish(machine)
    other = machine.other_host()
    for address in ("127.0.0.1", "127.7.7.7", web.gateway, other.gateway):
        assert answers(None, address, PORT) == web.gateway
    machine.networks.unpublish("web")
    assert not can_connect(None, "127.0.0.1", PORT)


def test_another_host_reaches_a_published_port_and_is_seen(machine: Machine, web: Box) -> None:
    other = machine.other_host()
    assert not can_connect(other.path, other.gateway, PORT)
    publish(machine)
    assert answers(other.path, other.gateway, PORT) == other.ip


def test_containers_reach_published_ports_through_the_host(machine: Machine, web: Box) -> None:
    machine.networks.create(NetworkSpec(name="back"))
    publish(machine)
    neighbour, stranger = machine.container("n", "front"), machine.container("s", "back")
    other = machine.other_host()
    for client in (web, neighbour, stranger):
        for address in (web.gateway, other.gateway):
            assert answers(client.path, address, PORT) == web.gateway, (client, address)


def test_a_host_address_is_the_only_one_to_answer(machine: Machine, web: Box) -> None:
    other = machine.other_host()
    publish(machine, "127.0.0.1")
    assert answers(None, "127.0.0.1", PORT)
    assert not can_connect(None, other.gateway, PORT)
    assert not can_connect(other.path, other.gateway, PORT)


def test_a_neighbour_cannot_reach_what_is_on_loopback_only(machine: Machine, web: Box) -> None:
    other = machine.other_host()
    publish(machine, "127.0.0.1")
    with inside(other.path):
        allow = "/proc/sys/net/ipv4/conf/eth0/route_localnet"
        with open(allow, "w") as file:
            file.write("1")
        subprocess.run(["ip", "address", "del", "127.0.0.1/8", "dev", "lo"], check=False)
        subprocess.run(["ip", "route", "add", "127.0.0.1", "via", other.gateway], check=True)
    assert not can_connect(other.path, "127.0.0.1", PORT)


def test_containers_cannot_reach_the_hosts_loopback(machine: Machine, web: Box) -> None:
    with inside(web.path):
        with open("/proc/sys/net/ipv4/conf/eth0/route_localnet", "w") as file:
            file.write("1")
        subprocess.run(["ip", "address", "del", "127.0.0.1/8", "dev", "lo"], check=False)
        subprocess.run(["ip", "route", "add", "127.0.0.1", "via", web.gateway], check=True)
    with serve_tcp(None, "127.0.0.1", PORT + 1):
        assert answers(None, "127.0.0.1", PORT + 1) == "127.0.0.1"
        assert not can_connect(web.path, "127.0.0.1", PORT + 1)


def test_containers_cannot_pretend_to_be_the_hosts_loopback(machine: Machine, web: Box) -> None:
    with inside(web.path):
        with open("/proc/sys/net/ipv4/conf/eth0/route_localnet", "w") as file:
            file.write("1")
        liar, honest = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server, liar, honest:
        server.bind(("0.0.0.0", 0))
        server.settimeout(3)
        to = (web.gateway, server.getsockname()[1])
        liar.bind(("127.0.0.1", 0))
        liar.sendto(b"lie", to)
        honest.sendto(b"truth", to)
        assert server.recv(10) == b"truth"


def test_a_port_that_a_program_just_left_can_be_published(machine: Machine, web: Box) -> None:
    with serve_tcp(None, "127.0.0.1", PORT + 2):
        answers(None, "127.0.0.1", PORT + 2)
        with pytest.raises(Conflict):
            publish(machine, host_port=PORT + 2)
    publish(machine, host_port=PORT + 2)
    assert answers(None, "127.0.0.1", PORT + 2) == web.gateway


def test_udp_is_published(machine: Machine, web: Box) -> None:
    other = machine.other_host()
    with serve_udp(web.path, "0.0.0.0", 53):
        publish(machine, container_port=53, protocol="udp")
        assert answers_udp(None, "127.0.0.1", PORT) == web.gateway
        assert answers_udp(other.path, other.gateway, PORT) == other.ip


def test_a_udp_client_that_came_too_early_is_heard(machine: Machine, web: Box) -> None:
    other = machine.other_host()
    with inside(other.path):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with client, serve_udp(web.path, "0.0.0.0", 53):
        client.bind(("0.0.0.0", 4000))
        client.settimeout(1)
        client.sendto(b"early", (other.gateway, PORT))
        publish(machine, container_port=53, protocol="udp")
        client.sendto(b"late", (other.gateway, PORT))
        assert client.recv(100).decode() == other.ip


def test_ipv6_ports_are_published(machine: Machine) -> None:
    machine.networks.create(NetworkSpec(name="six", enable_ipv6=True))
    web = machine.container("web", "six")
    with serve_tcp(web.path, "::", 80):
        publish(machine)
        gateway = machine.networks.find("six").spec.pools[1].gateway
        assert answers(None, gateway, PORT)
        neighbour = machine.container("n", "six")
        assert answers(neighbour.path, gateway, PORT)
        assert answers(web.path, gateway, PORT)
        machine.networks.unpublish("web")
        publish(machine, gateway)
        assert answers(None, gateway, PORT)
        assert not can_connect(None, "127.0.0.1", PORT)


def test_the_engine_chooses_a_free_port(machine: Machine, web: Box) -> None:
    chosen = publish(machine, host_port=None)
    assert chosen.host_port
    assert answers(None, "127.0.0.1", chosen.host_port)
    # A container that is started again keeps it.
    assert publish(machine, host_port=None) == chosen


def test_a_taken_port_is_refused_before_anything_starts(paths: Paths) -> None:
    state = State(paths.database)
    networks = Networks(paths, state)
    wanted = [PublishedPort(container_port=80, host_port=port) for port in (PORT - 1, PORT)]
    with serve_tcp(None, "0.0.0.0", PORT):
        message = rf"0\.0\.0\.0:{PORT}/tcp is in use by .*{os.getpid()}"
        with pytest.raises(Conflict, match=message):
            networks.reserve_ports("web", wanted)
    networks.reserve_ports("web", wanted)
    with pytest.raises(Conflict, match=f"{PORT}/tcp is published by container web"):
        networks.reserve_ports("other", wanted[1:])
    networks.unpublish("web")
    networks.reserve_ports("other", wanted)
    networks.close()
    state.close()


def test_a_held_port_cannot_be_taken_until_it_is_let_go(machine: Machine, web: Box) -> None:
    publish(machine)
    with pytest.raises(OSError, match="in use"):
        socket.create_server(("0.0.0.0", PORT))
    machine.networks.unpublish("web")
    socket.create_server(("0.0.0.0", PORT)).close()


def test_the_next_engine_holds_the_ports(machine: Machine, web: Box) -> None:
    publish(machine, "0.0.0.0")
    machine.networks.close()
    with machine.another_engine() as networks:
        networks.reconcile()
        again = PublishedPort(container_port=80, host_port=PORT, host_ip="0.0.0.0")
        assert networks.publish("web", [again]) == (again,)
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("0.0.0.0", PORT))
        assert answers(None, "127.0.0.1", PORT)
    machine.networks = Networks(machine.paths, machine.state)


def test_an_address_of_another_host_is_refused(machine: Machine, web: Box) -> None:
    with pytest.raises(StackrError, match=r"10\.213\.250\.1 is not an address of this host"):
        publish(machine, "10.213.250.1")


def test_publishing_twice_changes_nothing(machine: Machine, web: Box) -> None:
    publish(machine)
    before = machine.rules()
    publish(machine)
    assert machine.rules() == before
    machine.networks.reconcile()
    assert machine.rules() == before


def test_containers_without_a_way_out_publish_to_the_host_only(machine: Machine) -> None:
    machine.networks.create(NetworkSpec(name="private", internal=True))
    box = machine.container("web", "private")
    other = machine.other_host()
    with serve_tcp(box.path, "0.0.0.0", 80):
        publish(machine)
        assert answers(None, "127.0.0.1", PORT)
        assert not can_connect(other.path, other.gateway, PORT)
    publish(machine, container_port=7000, protocol="udp")
    assert not hears(box.path, box.ip, other.path, (other.gateway, PORT))
