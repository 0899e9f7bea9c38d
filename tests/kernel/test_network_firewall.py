"""Beside a firewall that drops what it does not know, as Docker's and ufw's."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from stackr_engine.network import namespace
from stackr_engine.network.firewall import let_pass
from stackr_engine.network.nftables import netfilter_socket

pytestmark = pytest.mark.requires("root", "nft")

DOCKER = """
table ip filter {
    chain DOCKER-USER { }
    chain FORWARD { type filter hook forward priority 0; policy drop; jump DOCKER-USER; }
}
table ip6 filter {
    chain FORWARD { type filter hook forward priority 0; policy accept; }
}
"""
UFW = """
table ip filter {
    chain FORWARD { type filter hook forward priority 0; policy drop; }
}
"""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[None]:
    """A network namespace of its own, so that no other firewall is touched."""
    with namespace.created(tmp_path / "netns"):
        yield
    namespace.remove(tmp_path / "netns")


def rules(*chain: str) -> list[str]:
    command = ["nft", "-s", "list", "chain", *chain]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line.strip() for line in text.splitlines() if "sk" in line]


def load(text: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=text, check=True, text=True)


@pytest.mark.usefixtures("elsewhere")
def test_ours_passes_in_dockers_user_chain_and_leaves_again() -> None:
    load(DOCKER)
    with netfilter_socket() as netfilter:
        let_pass(netfilter, "stackr-1234", ["sk1234"])
        wanted = [
            'oifname "sk1234*" counter accept comment "stackr-1234 networks"',
            'iifname "sk1234*" counter accept comment "stackr-1234 networks"',
        ]
        assert rules("ip", "filter", "DOCKER-USER") == wanted
        let_pass(netfilter, "stackr-1234", ["sk1234"])
        assert rules("ip", "filter", "DOCKER-USER") == wanted
        assert rules("ip6", "filter", "FORWARD") == []
        let_pass(netfilter, "stackr-1234", [])
        assert rules("ip", "filter", "DOCKER-USER") == []


@pytest.mark.usefixtures("elsewhere")
def test_engines_leave_each_others_rules_alone() -> None:
    load(UFW)
    with netfilter_socket() as netfilter:
        let_pass(netfilter, "stackr-1234", ["sk1234"])
        let_pass(netfilter, "stackr-5678", ["sk5678", "br-mine"])
        let_pass(netfilter, "stackr-1234", [])
        assert len(rules("ip", "filter", "FORWARD")) == 2
        let_pass(netfilter, "stackr-5678", [])
        assert rules("ip", "filter", "FORWARD") == []


@pytest.mark.usefixtures("elsewhere")
def test_a_machine_without_such_a_firewall_is_left_alone() -> None:
    with netfilter_socket() as netfilter:
        let_pass(netfilter, "stackr-1234", ["sk1234"])
    done = subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True)
    assert done.stdout == b""
