"""Forwarding is enabled when it is needed, and the host becomes no router by that."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from stackr_engine.network import namespace
from stackr_engine.network.networks import Networks
from stackr_engine.paths import Paths
from stackr_engine.state import State
from stackr_schemas.container import Attachment
from stackr_schemas.network import IpamPool, NetworkSpec

from tests.kernel.netns import answers, can_connect, serve_tcp, tool

pytestmark = pytest.mark.requires("root")
FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """This thread becomes a host that does not forward, between the two hosts given."""
    with namespace.created(tmp_path / "host"):
        tool("link", "set", "lo", "up")
        FORWARD.write_text("0")
        for number in (1, 2):
            path = tmp_path / f"other{number}"
            with namespace.created(path):
                pass
            peer = ("peer", "name", "eth0", "netns", str(path))
            tool("link", "add", f"up{number}", "type", "veth", *peer)
            tool("address", "add", f"10.213.{number}.1/24", "dev", f"up{number}")
            six = f"fd00:213:{number}::"
            tool("address", "add", f"{six}1/64", "dev", f"up{number}", "nodad")
            tool("link", "set", f"up{number}", "up")
            with namespace.entered(path):
                tool("address", "add", f"10.213.{number}.2/24", "dev", "eth0")
                tool("address", "add", f"{six}2/64", "dev", "eth0", "nodad")
                tool("link", "set", "eth0", "up")
                tool("-6", "route", "add", "default", "via", f"{six}1")
                tool("route", "add", "default", "via", f"10.213.{number}.1")
        yield tmp_path / "other1", tmp_path / "other2"
    for name in ("host", "other1", "other2"):
        namespace.remove(tmp_path / name)


def test_containers_get_out_but_the_hosts_wires_stay_apart(
    paths: Paths, hosts: tuple[Path, Path]
) -> None:
    one, two = hosts
    state = State(paths.database)
    networks = Networks(paths, state)
    with serve_tcp(two, "0.0.0.0", 80):
        assert not can_connect(one, "10.213.2.2", 80)
        networks.create(NetworkSpec(name="private", internal=True))
        assert FORWARD.read_text() == "0\n"
        networks.create(NetworkSpec(name="front", pools=(IpamPool(subnet="10.213.3.0/24"),)))
        assert FORWARD.read_text() == "1\n"
        networks.open_namespace("web")
        networks.attach("web", [Attachment(network="front")])
        assert answers(paths.netns("web"), "10.213.2.2", 80) == "10.213.2.1"
        assert not can_connect(one, "10.213.2.2", 80)
        networks.reconcile()
        assert not can_connect(one, "10.213.2.2", 80)
        # Docker, say, comes and relies on forwarding.
        tool("link", "add", "docker0", "type", "bridge")
        networks.close_namespace("web")
        for name in ("front", "private"):
            networks.remove(name)
        assert FORWARD.read_text() == "1\n"
        # A host that forwards anyway is a router, and stays one.
        with state.transaction() as connection:
            connection.execute("DELETE FROM uplinks")
        networks.create(NetworkSpec(name="again"))
        assert can_connect(one, "10.213.2.2", 80)
    networks.remove("again")
    networks.close()
    state.close()


def test_ipv6_gets_out_but_the_hosts_wires_stay_apart(
    paths: Paths, hosts: tuple[Path, Path]
) -> None:
    one, two = hosts
    state = State(paths.database)
    networks = Networks(paths, state)
    networks.create(NetworkSpec(name="six", enable_ipv6=True))
    networks.open_namespace("web")
    networks.attach("web", [Attachment(network="six")])
    with serve_tcp(two, "::", 80):
        assert answers(paths.netns("web"), "fd00:213:2::2", 80) == "fd00:213:2::1"
        assert not can_connect(one, "fd00:213:2::2", 80)
    networks.close_namespace("web")
    networks.remove("six")
    networks.settle()
    networks.close()
    state.close()


def test_forwarding_ends_with_the_last_network(paths: Paths, hosts: tuple[Path, Path]) -> None:
    state = State(paths.database)
    networks = Networks(paths, state)
    six = Path("/proc/sys/net/ipv6/conf/all/forwarding")
    for _ in range(2):
        networks.create(NetworkSpec(name="front", enable_ipv6=True))
        networks.create(NetworkSpec(name="back"))
        assert (FORWARD.read_text(), six.read_text()) == ("1\n", "1\n")
        networks.remove("front")
        assert FORWARD.read_text() == "1\n"
        networks.remove("back")
        assert (FORWARD.read_text(), six.read_text()) == ("0\n", "0\n")
    networks.close()
    state.close()


def test_router_advertisements_are_still_heard(paths: Paths, hosts: tuple[Path, Path]) -> None:
    conf = Path("/proc/sys/net/ipv6/conf")
    assert (conf / "up1/accept_ra").read_text() == "1\n"
    state = State(paths.database)
    networks = Networks(paths, state)
    networks.create(NetworkSpec(name="six", enable_ipv6=True))
    assert (conf / "all/forwarding").read_text() == "1\n"
    assert (conf / "up1/accept_ra").read_text() == "2\n"
    networks.remove("six")
    networks.close()
    state.close()


def test_without_ipv6_in_the_kernel_networks_work(paths: Paths, hosts: tuple[Path, Path]) -> None:
    for name in ("all", "default"):
        Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
    state = State(paths.database)
    networks = Networks(paths, state)
    networks.create(NetworkSpec(name="front"))
    for name in ("web", "client"):
        networks.open_namespace(name)
        networks.attach(name, [Attachment(network="front")])
    ip = networks.endpoints("web")[0].ipv4.split("/")[0]
    with serve_tcp(paths.netns("web"), "0.0.0.0", 80):
        assert answers(paths.netns("client"), ip, 80)
    for name in ("web", "client"):
        networks.close_namespace(name)
    networks.remove("front")
    networks.settle()
    networks.close()
    state.close()
