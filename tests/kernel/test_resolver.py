"""Names as containers get them at 127.0.0.11."""

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rrset
import pytest
from stackr_engine.network.resolver import Names, Resolver
from stackr_engine.paths import Paths
from stackr_engine.spawn.client import Spawner
from stackr_schemas.container import Attachment
from stackr_schemas.network import NetworkSpec

from tests.kernel.netns import Machine, inside

pytestmark = pytest.mark.requires("root")


@pytest.fixture
def host_resolv_conf(tmp_path: Path) -> Path:
    file = tmp_path / "host-resolv.conf"
    file.write_text("nameserver 127.0.53.1\n")
    return file


@pytest.fixture
def machine(paths: Paths) -> Iterator[Machine]:
    with Machine.on(paths) as machine:
        yield machine


@pytest.fixture
def resolver(machine: Machine, host_resolv_conf: Path) -> Iterator[Resolver]:
    resolver = Resolver(machine.paths, host_resolv_conf)
    resolver.start_or_connect()
    yield resolver
    for container in machine.networks.holders():
        resolver.remove(container)
    resolver.close()


def start(
    machine: Machine, resolver: Resolver, name: str, *places: Attachment, **more: object
) -> list[str]:
    """A container in networks, known to the resolver; returns its addresses."""
    machine.networks.open_namespace(name)
    points = machine.networks.attach(name, places)
    resolver.update(name, Names(name, points, **more))  # type: ignore[arg-type]
    return [point.ipv4.split("/")[0] for point in points]


def ask(
    machine: Machine, container: str, name: str, kind: str = "A", *, tcp: bool = False
) -> dns.message.Message:
    query = dns.message.make_query(name, kind)
    send = dns.query.tcp if tcp else dns.query.udp
    with inside(machine.paths.netns(container)):
        return send(query, "127.0.0.11", timeout=5)


def addresses(message: dns.message.Message) -> list[str]:
    assert message.rcode() == dns.rcode.NOERROR
    return [item.to_text() for rrset in message.answer for item in rrset]


def eventually(claim: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not claim():
        assert time.monotonic() < end
        time.sleep(0.01)


class answering:
    """A nameserver where it is made; `answer` None keeps silent. Gives the queries that came."""

    def __init__(self, address: str, answer: Callable[[bytes], bytes | None]):
        self.answer = answer
        self.seen: list[bytes] = []
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((address, 53))
        self.tcp = socket.create_server((address, 53))

    def serve(self) -> None:
        while True:
            ready, _, _ = select.select([self.udp, self.tcp, self.end], [], [])
            if self.end in ready:
                return
            if self.udp in ready:
                message, peer = self.udp.recvfrom(4096)
                self.seen.append(message)
                if reply := self.answer(message):
                    self.udp.sendto(reply, peer)
            if self.tcp in ready:
                connection, _ = self.tcp.accept()
                with connection:
                    reply = self.answer(connection.recv(4096)[2:]) or b""
                    for part in (len(reply).to_bytes(2, "big"), reply[:20], reply[20:]):
                        connection.sendall(part)
                        time.sleep(0.01)

    def __enter__(self) -> list[bytes]:
        self.end, self.stop = socket.socketpair()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        return self.seen

    def __exit__(self, *exception: object) -> None:
        self.stop.close()
        self.thread.join()
        for item in (self.udp, self.tcp, self.end):
            item.close()


def says(text: str, rcode: int = dns.rcode.NOERROR) -> Callable[[bytes], bytes]:
    def answer(message: bytes) -> bytes:
        query = dns.message.from_wire(message)
        reply = dns.message.make_response(query)
        reply.set_rcode(rcode)
        if text:
            reply.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", text))
        return reply.to_wire()

    return answer


def test_services_are_found_by_all_their_names(machine: Machine, resolver: Resolver) -> None:
    network = machine.networks.create(NetworkSpec(name="proj_front"))
    web = "0123456789abcdef"
    machine.networks.open_namespace(web)
    points = machine.networks.attach(web, [Attachment(network=network.id, aliases=("web", "www"))])
    resolver.update(web, Names("proj-web-1", points, ["box"]))
    start(machine, resolver, "client", Attachment(network="proj_front"))
    ip = points[0].ipv4.split("/")[0]
    for name in ("web", "www", "WEB", "proj-web-1", "0123456789ab", "box", "web.proj_front"):
        assert addresses(ask(machine, "client", name)) == [ip], name
        assert addresses(ask(machine, "client", name, tcp=True)) == [ip], name
    assert addresses(ask(machine, web, "web")) == [ip]
    reverse = ".".join(reversed(ip.split("."))) + ".in-addr.arpa"
    assert addresses(ask(machine, "client", reverse, "PTR")) == ["proj-web-1.proj_front."]


def test_a_container_sees_names_of_its_own_networks_only(
    machine: Machine, resolver: Resolver
) -> None:
    for name in ("front", "back"):
        machine.networks.create(NetworkSpec(name=name, internal=True))
    start(machine, resolver, "store", Attachment(network="back"))
    front, back = Attachment(network="front"), Attachment(network="back", aliases=("mid",))
    _, in_back = start(machine, resolver, "middle", front, back)
    start(machine, resolver, "web", front)
    assert ask(machine, "web", "store").rcode() == dns.rcode.NXDOMAIN
    assert ask(machine, "web", "mid").rcode() == dns.rcode.NXDOMAIN
    assert addresses(ask(machine, "middle", "store"))
    assert addresses(ask(machine, "store", "mid")) == [in_back]
    assert addresses(ask(machine, "store", "middle")) == [in_back]


def test_replicas_take_turns(machine: Machine, resolver: Resolver) -> None:
    machine.networks.create(NetworkSpec(name="front"))
    place = Attachment(network="front", aliases=("web",))
    ips = {start(machine, resolver, f"web-{number}", place)[0] for number in range(3)}
    answers = [addresses(ask(machine, "web-0", "web")) for _ in range(60)]
    assert all(set(answer) == ips for answer in answers)
    assert {answer[0] for answer in answers} == ips


def test_a_missing_kind_of_address_is_no_missing_name(machine: Machine, resolver: Resolver) -> None:
    machine.networks.create(NetworkSpec(name="four"))
    machine.networks.create(NetworkSpec(name="six", enable_ipv6=True))
    start(machine, resolver, "web", Attachment(network="four"))
    start(machine, resolver, "web6", Attachment(network="six"))
    for kind in ("AAAA", "MX", "HTTPS"):
        answer = ask(machine, "web", "web", kind)
        assert (answer.rcode(), answer.answer) == (dns.rcode.NOERROR, [])
    wanted = machine.networks.endpoints("web6")[0].ipv6.split("/")[0]
    assert addresses(ask(machine, "web6", "web6", "AAAA")) == [wanted]


def test_many_replicas_fit_a_datagram_or_come_by_tcp(machine: Machine, resolver: Resolver) -> None:
    machine.networks.create(NetworkSpec(name="front"))
    place = Attachment(network="front", aliases=("web",))
    for number in range(40):
        start(machine, resolver, f"web-{number}", place)
    short = ask(machine, "web-0", "web")
    assert short.flags & dns.flags.TC
    assert len(short.to_wire()) <= 512
    assert len(addresses(ask(machine, "web-0", "web", tcp=True))) == 40


def test_other_names_go_to_the_hosts_nameservers(
    machine: Machine, resolver: Resolver, host_resolv_conf: Path
) -> None:
    machine.networks.create(NetworkSpec(name="front"))
    machine.networks.create(NetworkSpec(name="private", internal=True))
    start(machine, resolver, "web", Attachment(network="front"))
    start(machine, resolver, "hidden", Attachment(network="private"))
    with answering("127.0.53.1", says("192.0.2.77")) as seen:
        assert addresses(ask(machine, "web", "example.org")) == ["192.0.2.77"]
        assert len(seen) == 1
        assert ask(machine, "hidden", "example.org").rcode() == dns.rcode.NXDOMAIN
        assert len(seen) == 1
    host_resolv_conf.write_text("nameserver 127.0.53.2\n")
    with answering("127.0.53.2", says("192.0.2.78")):
        assert addresses(ask(machine, "web", "example.org")) == ["192.0.2.78"]


@pytest.mark.parametrize("tcp", [False, True])
def test_nameservers_of_a_container_are_asked_from_its_network(
    machine: Machine, resolver: Resolver, tcp: bool
) -> None:
    machine.networks.create(NetworkSpec(name="front"))
    (server,) = start(machine, resolver, "server", Attachment(network="front"))
    nameservers = ("127.0.0.1", server)
    start(machine, resolver, "web", Attachment(network="front"), nameservers=nameservers)
    with inside(machine.paths.netns("server")):
        far = answering(server, says("192.0.2.79"))
    with inside(machine.paths.netns("web")):
        near = answering("127.0.0.1", says("192.0.2.78"))
    with answering("127.0.0.1", says("192.0.2.1")), far:
        with near:
            assert addresses(ask(machine, "web", "example.org", tcp=tcp)) == ["192.0.2.78"]
        assert addresses(ask(machine, "web", "example.org", tcp=tcp)) == ["192.0.2.79"]


@pytest.mark.parametrize(
    "fault", [lambda _: None, says("", dns.rcode.SERVFAIL), lambda _: b"nonsense"]
)
def test_the_next_nameserver_is_asked_when_one_fails(
    machine: Machine,
    resolver: Resolver,
    host_resolv_conf: Path,
    fault: Callable[[bytes], bytes | None],
) -> None:
    # Nobody listens at the first, which the kernel tells at once.
    host_resolv_conf.write_text(
        "nameserver 127.0.53.9\nnameserver 127.0.53.4\nnameserver 127.0.53.5\n"
    )
    machine.networks.create(NetworkSpec(name="front"))
    start(machine, resolver, "web", Attachment(network="front"))
    with answering("127.0.53.4", fault), answering("127.0.53.5", says("192.0.2.80")):
        assert addresses(ask(machine, "web", "example.org")) == ["192.0.2.80"]


def test_without_any_nameserver_the_answer_is_a_failure(
    machine: Machine, resolver: Resolver
) -> None:
    machine.networks.create(NetworkSpec(name="front"))
    start(machine, resolver, "web", Attachment(network="front"))
    assert ask(machine, "web", "example.org").rcode() == dns.rcode.SERVFAIL
    assert ask(machine, "web", "example.org", tcp=True).rcode() == dns.rcode.SERVFAIL


def test_long_answers_come_by_tcp_from_the_answering(machine: Machine, resolver: Resolver) -> None:
    machine.networks.create(NetworkSpec(name="front"))
    start(machine, resolver, "web", Attachment(network="front"))
    with answering("127.0.53.1", says("192.0.2.81")) as seen:
        assert addresses(ask(machine, "web", "example.org", tcp=True)) == ["192.0.2.81"]
        assert seen == []


def test_port_53_of_the_container_is_free(machine: Machine, resolver: Resolver) -> None:
    machine.networks.create(NetworkSpec(name="front"))
    (ip,) = start(machine, resolver, "web", Attachment(network="front"))
    with inside(machine.paths.netns("web")):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tcp = socket.create_server(("0.0.0.0", 53))
    with udp, tcp:
        udp.bind(("0.0.0.0", 53))
        assert addresses(ask(machine, "web", "web")) == [ip]


def test_rubbish_does_no_harm(machine: Machine, resolver: Resolver) -> None:
    machine.networks.create(NetworkSpec(name="front"))
    (ip,) = start(machine, resolver, "web", Attachment(network="front"))
    with inside(machine.paths.netns("web")):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tcp = socket.create_connection(("127.0.0.11", 53))
    with udp, tcp:
        query = dns.message.make_query("web", "A").to_wire()
        for junk in (b"", b"x", query[:12], query[:-3], bytes(12), b"\xff" * 600, query + b"x" * 9):
            udp.sendto(junk, ("127.0.0.11", 53))
            tcp.sendall(len(junk).to_bytes(2, "big") + junk)
    assert addresses(ask(machine, "web", "web")) == [ip]


def test_a_stopped_container_is_forgotten(machine: Machine, resolver: Resolver) -> None:
    machine.networks.create(NetworkSpec(name="front", internal=True))
    start(machine, resolver, "web", Attachment(network="front"))
    start(machine, resolver, "client", Attachment(network="front"))
    resolver.remove("web")
    assert ask(machine, "client", "web").rcode() == dns.rcode.NXDOMAIN
    # Only a namespace without our sockets can end, and its links with it.
    link = machine.networks.endpoints("web")[0].host_interface
    machine.networks.close_namespace("web")
    eventually(lambda: link not in {name for _, name in socket.if_nameindex()})


def test_a_killed_resolver_gets_a_successor(machine: Machine, resolver: Resolver) -> None:
    machine.networks.create(NetworkSpec(name="front"))
    (ip,) = start(machine, resolver, "web", Attachment(network="front"))
    for _ in range(3):
        assert addresses(ask(machine, "web", "web")) == [ip]
        pid = resolver.pid
        os.kill(pid, signal.SIGKILL)
        eventually(lambda pid=pid: resolver.pid not in (0, pid))  # type: ignore[misc]
    assert addresses(ask(machine, "web", "web", tcp=True)) == [ip]


def test_a_client_that_keeps_its_socket_reaches_the_successor(
    machine: Machine, resolver: Resolver
) -> None:
    machine.networks.create(NetworkSpec(name="front"))
    start(machine, resolver, "web", Attachment(network="front"))
    with inside(machine.paths.netns("web")):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with client:
        client.connect(("127.0.0.11", 53))
        client.settimeout(0.1)
        query = dns.message.make_query("web", "A").to_wire()

        def is_answered() -> bool:
            try:
                client.send(query)
                return bool(client.recv(512))
            except OSError:
                return False

        eventually(is_answered)
        os.kill(resolver.pid, signal.SIGKILL)
        eventually(is_answered)


def test_names_are_answered_while_no_resident_lives(
    machine: Machine, host_resolv_conf: Path
) -> None:
    machine.networks.create(NetworkSpec(name="front"))
    spawner = Spawner.fork(machine.paths)
    first = Resolver(machine.paths, host_resolv_conf)
    first.start_or_connect(spawner)
    (ip,) = start(machine, first, "web", Attachment(network="front"))
    (gone,) = start(machine, first, "gone", Attachment(network="front"))
    eventually(lambda: first.pid != 0)
    first.close()
    spawner.close()
    assert addresses(ask(machine, "web", "gone")) == [gone]
    second = Resolver(machine.paths, host_resolv_conf)
    second.start_or_connect()
    assert second.pid == first.pid
    second.update("web", Names("web", machine.networks.endpoints("web"), ["again"]))
    second.remove("gone")
    assert addresses(ask(machine, "web", "again")) == [ip]
    assert ask(machine, "web", "gone").rcode() != dns.rcode.NOERROR
    second.remove("web")
    second.close()
    eventually(lambda: not Path(f"/proc/{first.pid}").exists())
