"""Who is called what in which network (pure, standard library only: part of the resolver)."""

import json
import os

from stackr_engine.network import dns


class Place:
    """One container in one network: its names there and its packed addresses (or b"")."""

    __slots__ = ("ipv4", "ipv6", "names", "network", "network_name")

    def __init__(self, network: str, network_name: str, names: list[str], ipv4: bytes, ipv6: bytes):
        self.network = network
        self.network_name = network_name
        self.names = names
        self.ipv4 = ipv4
        self.ipv6 = ipv6


class Client:
    """One container that asks: where it is, and who answers for other names."""

    __slots__ = ("forwards", "id", "name", "nameservers", "places")

    def __init__(
        self, id: str, name: str, places: list[Place], forwards: bool, nameservers: list[str]
    ):
        self.id = id
        self.name = name
        self.places = places
        self.forwards = forwards
        self.nameservers = nameservers

    def to_json(self) -> str:
        """One line that `from_json` reads."""
        places = [
            [p.network, p.network_name, p.names, p.ipv4.hex(), p.ipv6.hex()] for p in self.places
        ]
        return json.dumps([self.id, self.name, places, self.forwards, self.nameservers])

    @classmethod
    def from_json(cls, text: str) -> "Client":
        """Read what `to_json` wrote."""
        ident, name, places, forwards, nameservers = json.loads(text)
        read = [Place(p[0], p[1], p[2], bytes.fromhex(p[3]), bytes.fromhex(p[4])) for p in places]
        return cls(ident, name, read, forwards, nameservers)


class Zone:
    """All clients, with an index of names for each network."""

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {}
        self._names: dict[str, dict[str, dict[str, Place]]] = {}

    def update(self, client: Client) -> None:
        """Put a client in the place of its older self."""
        self.remove(client.id)
        self.clients[client.id] = client
        for place in client.places:
            index = self._names.setdefault(place.network, {})
            for name in place.names:
                index.setdefault(name.lower(), {})[client.id] = place

    def remove(self, ident: str) -> None:
        """Forget a client; one that is unknown is no failure."""
        client = self.clients.pop(ident, None)
        for place in client.places if client else ():
            index = self._names[place.network]
            for name in place.names:
                holders = index.get(name.lower(), {})
                holders.pop(ident, None)
                if not holders:
                    index.pop(name.lower(), None)
            if not index:
                del self._names[place.network]

    def _holders(self, client: Client, name: str) -> list[Place]:
        found: list[Place] = []
        for place in client.places:
            index = self._names.get(place.network, {})
            found += index.get(name, {}).values()
            suffix = "." + place.network_name.lower()
            if name.endswith(suffix):
                found += index.get(name[: -len(suffix)], {}).values()
        return found

    def values(self, client: Client, name: str, kind: int) -> list[bytes] | None:
        """What to answer; empty: the name exists without such data, None: not ours."""
        if kind == dns.PTR:
            address = dns.reverse_address(name)
            return self._reverse(client, address) if address else None
        holders = self._holders(client, name)
        if not holders:
            return None
        wanted = {dns.A: "ipv4", dns.AAAA: "ipv6"}.get(kind)
        if wanted is None:
            return []
        addresses = list(dict.fromkeys(a for place in holders if (a := getattr(place, wanted))))
        # Which replica an answer begins with is drawn, not counted: a program that always asks
        # twice, or for A and AAAA, would otherwise meet every second one only.
        start = os.urandom(1)[0] % len(addresses) if addresses else 0
        return addresses[start:] + addresses[:start]

    def _reverse(self, client: Client, address: bytes) -> list[bytes] | None:
        networks = {place.network for place in client.places}
        for other in self.clients.values():
            for place in other.places:
                if place.network in networks and address in (place.ipv4, place.ipv6):
                    return [dns.name_data(f"{other.name}.{place.network_name}")]
        return None
