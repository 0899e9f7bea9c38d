import socket

from stackr_engine.network import dns
from stackr_engine.network.zone import Client, Place, Zone


def client(name: str, *places: tuple[str, str, str]) -> Client:
    """Places as (network, address, alias)."""
    made = [
        Place(f"id-{network}", network, [name, alias], socket.inet_aton(address), b"")
        for network, address, alias in places
    ]
    return Client(name, name, made, True, [])


def ask(zone: Zone, who: str, name: str, kind: int = dns.A) -> list[str] | None:
    values = zone.values(zone.clients[who], name, kind)
    return None if values is None else sorted(socket.inet_ntoa(value) for value in values)


def test_names_end_with_their_container() -> None:
    zone = Zone()
    zone.update(client("web-1", ("front", "10.0.0.2", "web")))
    zone.update(client("web-2", ("front", "10.0.0.3", "web")))
    zone.update(client("db", ("back", "10.0.1.2", "db")))
    assert ask(zone, "web-1", "web") == ["10.0.0.2", "10.0.0.3"]
    assert ask(zone, "web-1", "web.front") == ["10.0.0.2", "10.0.0.3"]
    assert ask(zone, "web-1", "web.back") is None
    assert ask(zone, "web-1", "db") is None
    zone.update(client("web-2", ("front", "10.0.0.9", "other")))
    assert ask(zone, "web-1", "web") == ["10.0.0.2"]
    zone.remove("web-1")
    zone.remove("web-1")
    assert ask(zone, "web-2", "web") is None
    assert ask(zone, "web-2", "other") == ["10.0.0.9"]


def test_a_name_in_two_shared_networks_has_both_addresses() -> None:
    zone = Zone()
    zone.update(client("web", ("a", "10.0.0.2", "w"), ("b", "10.0.1.2", "w")))
    zone.update(client("peer", ("b", "10.0.1.3", "p"), ("a", "10.0.0.3", "p")))
    zone.update(client("half", ("b", "10.0.1.4", "h")))
    assert ask(zone, "peer", "web") == ["10.0.0.2", "10.0.1.2"]
    assert ask(zone, "half", "web") == ["10.0.1.2"]


def test_a_network_name_with_dots_is_a_suffix_too() -> None:
    zone = Zone()
    zone.update(client("web", ("my.net", "10.0.0.2", "w")))
    assert ask(zone, "web", "w.my.net") == ["10.0.0.2"]
    assert ask(zone, "web", "net") is None


def test_what_is_sent_to_the_resolver_arrives() -> None:
    before = client("web", ("front", "10.0.0.2", "ünï"))
    after = Client.from_json(before.to_json())
    assert after.to_json() == before.to_json()
    assert after.places[0].ipv4 == socket.inet_aton("10.0.0.2")


def test_every_replica_comes_first_also_for_who_looks_at_each_second_answer() -> None:
    zone = Zone()
    for number in range(2, 6):
        zone.update(client(f"web-{number}", ("front", f"10.0.0.{number}", "web")))
    first = set()
    for _ in range(300):
        zone.values(zone.clients["web-2"], "web", dns.A)
        answer = zone.values(zone.clients["web-2"], "web", dns.A)
        assert answer
        assert len(set(answer)) == 4
        first.add(answer[0])
    assert len(first) == 4
