from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stackr_engine.network import ipam
from stackr_schemas.errors import Conflict, StackrError
from stackr_schemas.network import IpamPool, NetworkSpec


def pools(spec: NetworkSpec, *taken: str) -> list[str]:
    found = ipam.pools_for(spec, "seed", [ip_network(text) for text in taken])
    return [f"{pool.subnet} {pool.gateway}" for pool in found]


def test_the_first_free_default_pool_is_taken() -> None:
    spec = NetworkSpec(name="front")
    assert pools(spec) == ["172.17.0.0/16 172.17.0.1"]
    assert pools(spec, "172.17.0.0/16", "172.18.5.0/24") == ["172.19.0.0/16 172.19.0.1"]
    assert pools(spec, "172.16.0.0/12") == ["192.168.0.0/20 192.168.0.1"]
    assert pools(spec, "172.16.0.0/12", "192.168.1.0/24") == ["192.168.16.0/20 192.168.16.1"]
    with pytest.raises(Conflict, match="no free subnet"):
        pools(spec, "172.16.0.0/12", "192.168.0.0/16")


def test_ipv6_gets_a_unique_local_subnet() -> None:
    found = pools(NetworkSpec(name="six", enable_ipv4=False, enable_ipv6=True))
    subnet, gateway = found[0].split()
    assert len(found) == 1
    assert ip_network(subnet).prefixlen == 64
    assert ip_network(subnet).subnet_of(ip_network("fd00::/8"))  # type: ignore[arg-type]
    assert gateway == f"{subnet.split('/')[0]}1"
    other = ipam.free_ipv6("seed", {ip_network(subnet)})
    assert other != ip_network(subnet)


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        ({"subnet": "10.1.0.0/16"}, "overlaps 10.1.2.0/24"),
        ({"subnet": "10.2.0.1/16"}, "has host bits set"),
        ({"subnet": "nonsense"}, "does not appear"),
        ({"subnet": "10.2.0.0/16", "gateway": "10.3.0.1"}, "10.3.0.1 is not in subnet"),
        ({"subnet": "10.2.0.0/16", "ip_range": "10.3.0.0/24"}, "ip_range 10.3.0.0/24 is not in"),
        ({"subnet": "10.2.0.0/16", "aux_addresses": {"a": "10.9.0.1"}}, "10.9.0.1 is not in"),
        ({"subnet": "10.2.0.0/16", "gateway": "here"}, "does not appear"),
    ],
)
def test_impossible_pools_are_refused(pool: dict[str, object], message: str) -> None:
    spec = NetworkSpec(name="front", pools=(IpamPool.model_validate(pool),))
    with pytest.raises(StackrError, match=message):
        pools(spec, "10.1.2.0/24")


def test_a_network_needs_an_ip_version() -> None:
    with pytest.raises(StackrError, match="neither IPv4 nor IPv6"):
        pools(NetworkSpec(name="front", enable_ipv4=False))


def test_addresses_are_given_in_turn_and_from_the_start_again() -> None:
    pool = IpamPool(subnet="10.0.0.0/29", gateway="10.0.0.1", aux_addresses={"nas": "10.0.0.3"})
    taken: dict[str, str] = {}
    for wanted in ("10.0.0.2", "10.0.0.4", "10.0.0.5", "10.0.0.6"):
        address = str(ipam.next_address(pool, taken, next(reversed(taken), "")))
        assert address == wanted
        taken[address] = "box"
    with pytest.raises(Conflict, match=r"no free address is left in 10\.0\.0\.0/29"):
        ipam.next_address(pool, taken, "10.0.0.6")
    del taken["10.0.0.4"]
    assert str(ipam.next_address(pool, taken, "10.0.0.6")) == "10.0.0.4"


def test_an_ip_range_bounds_what_is_given_by_itself_but_not_what_is_asked_for() -> None:
    pool = IpamPool(subnet="10.0.0.0/24", gateway="10.0.0.1", ip_range="10.0.0.64/30")
    assert str(ipam.next_address(pool, (), "")) == "10.0.0.64"
    assert str(ipam.next_address(pool, {"10.0.0.64", "10.0.0.200"}, "10.0.0.200")) == "10.0.0.65"
    assert str(ipam.fixed_address(pool, "10.0.0.200", "front")) == "10.0.0.200"
    for address, message in (
        ("10.0.1.1", "not in network front"),
        ("10.0.0.1", "reserved"),
        ("10.0.0.255", "reserved"),
        ("fd00::1", "not in network front"),
        ("x", "does not appear"),
    ):
        with pytest.raises(StackrError, match=message):
            ipam.fixed_address(pool, address, "front")


@given(st.sets(st.integers(0, 63)), st.integers(0, 300))
def test_an_address_is_found_exactly_when_one_is_free(used: set[int], after: int) -> None:
    pool = IpamPool(subnet="10.0.0.0/26", gateway="10.0.0.1")
    taken = {f"10.0.0.{last}" for last in used}
    free = {f"10.0.0.{last}" for last in range(2, 63)} - taken
    last = str(ip_address("10.0.0.0") + after)
    if free:
        assert str(ipam.next_address(pool, taken, last)) in free
    else:
        with pytest.raises(Conflict):
            ipam.next_address(pool, taken, last)
