"""Networks, leases and published ports in the state database."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stackr_schemas.errors import Conflict
from stackr_schemas.network import Endpoint, NetworkSpec, NetworkState

from stackr_engine.network.ruleset import PortRule
from stackr_engine.state import State

SCHEMA = """
CREATE TABLE IF NOT EXISTS network (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created REAL NOT NULL,
    bridge TEXT NOT NULL UNIQUE, spec TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS endpoint (
    container TEXT NOT NULL, network TEXT NOT NULL REFERENCES network (id),
    ipv4 TEXT, ipv6 TEXT, priority INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (container, network), UNIQUE (network, ipv4), UNIQUE (network, ipv6)
) STRICT;
CREATE TABLE IF NOT EXISTS published (
    container TEXT NOT NULL, protocol TEXT NOT NULL, host_ip TEXT NOT NULL,
    host_port INTEGER NOT NULL, ip TEXT NOT NULL, port INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS published_once
    ON published (protocol, host_ip, host_port, ip);
CREATE TABLE IF NOT EXISTS uplinks (
    version INTEGER PRIMARY KEY, boot TEXT NOT NULL, names TEXT NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """One endpoint as recorded: its addresses are taken until the row goes."""

    container: str
    endpoint: Endpoint
    gw_priority: int = 0


def by_gateway_rank(leases: Iterable[Lease]) -> list[Lease]:
    """Leases whose network has a way out first, of the highest gw_priority, then by name."""
    return sorted(
        leases,
        key=lambda lease: (
            not (lease.endpoint.gateway or lease.endpoint.gateway6),
            -lease.gw_priority,
            lease.endpoint.network,
        ),
    )


class NetworkStore:
    """Queries on the tables of `SCHEMA`."""

    def __init__(self, state: State):
        self._state = state
        with state.transaction() as connection:
            for statement in filter(str.strip, SCHEMA.split(";")):
                connection.execute(statement)

    def networks(self) -> list[NetworkState]:
        """All networks, the oldest first."""
        rows = self._state.query("SELECT * FROM network ORDER BY created, id")
        return [_network(row) for row in rows]

    def add_network(self, network: NetworkState) -> None:
        """Record a network. Raises Conflict if its name or bridge is taken."""
        spec = network.spec.model_dump_json()
        values = (network.id, network.spec.name, network.created, network.bridge, spec)
        try:
            with self._state.transaction() as connection:
                connection.execute("INSERT INTO network VALUES (?, ?, ?, ?, ?)", values)
        except sqlite3.IntegrityError:
            raise Conflict(f"network {network.spec.name} exists already") from None

    def remove_network(self, network: NetworkState) -> None:
        """Forget a network. Raises Conflict while a container is in it."""
        try:
            with self._state.transaction() as connection:
                connection.execute("DELETE FROM network WHERE id = ?", (network.id,))
        except sqlite3.IntegrityError:
            users = ", ".join(lease.container[:12] for lease in self.leases(network.id))
            raise Conflict(
                f"network {network.spec.name} is in use by {users}",
                hint="remove or disconnect these containers first",
            ) from None

    def leases(self, network_id: str | None = None) -> list[Lease]:
        """The leases of one network, or all."""
        if network_id is None:
            return _leases(self._state.query("SELECT * FROM endpoint ORDER BY rowid"))
        sql = "SELECT * FROM endpoint WHERE network = ? ORDER BY rowid"
        return _leases(self._state.query(sql, network_id))

    def leases_of(self, container: str) -> list[Lease]:
        """The leases of one container, in the order in which they were made."""
        sql = "SELECT * FROM endpoint WHERE container = ? ORDER BY rowid"
        return _leases(self._state.query(sql, container))

    def holders(self, network_id: str) -> tuple[dict[str, str], dict[str, str]]:
        """Who has which IPv4 and IPv6 addresses of a network, the newest lease at the end."""
        sql = "SELECT container, ipv4, ipv6 FROM endpoint WHERE network = ? ORDER BY rowid"
        rows = self._state.query(sql, network_id)
        ipv4 = {row["ipv4"]: row["container"] for row in rows if row["ipv4"]}
        return ipv4, {row["ipv6"]: row["container"] for row in rows if row["ipv6"]}

    def add_leases(self, leases: Iterable[Lease]) -> None:
        """Record leases, all or none. Raises sqlite3.IntegrityError on a taken address."""
        with self._state.transaction() as connection:
            for lease in leases:
                point = lease.endpoint
                ipv4, ipv6 = (text.split("/")[0] or None for text in (point.ipv4, point.ipv6))
                body = point.model_dump_json()
                row = (lease.container, point.network_id, ipv4, ipv6, lease.gw_priority, body)
                connection.execute("INSERT INTO endpoint VALUES (?, ?, ?, ?, ?, ?)", row)

    def remove_leases(self, container: str, network_ids: Sequence[str] | None = None) -> None:
        """Free the container's addresses, in some networks or in all."""
        with self._state.transaction() as connection:
            if network_ids is None:
                connection.execute("DELETE FROM endpoint WHERE container = ?", (container,))
            for network_id in network_ids or ():
                connection.execute(
                    "DELETE FROM endpoint WHERE container = ? AND network = ?",
                    (container, network_id),
                )

    def ports(self) -> list[tuple[str, PortRule]]:
        """All translations with the containers they lead to."""
        return _ports(self._state.query("SELECT * FROM published ORDER BY rowid"))

    def ports_of(self, container: str) -> list[PortRule]:
        """The translations that lead to one container."""
        sql = "SELECT * FROM published WHERE container = ? ORDER BY rowid"
        return [rule for _, rule in _ports(self._state.query(sql, container))]

    def add_ports(self, container: str, rules: Iterable[PortRule]) -> None:
        """Record translations, all or none. Raises sqlite3.IntegrityError on a taken port."""
        rows = [(container, *_port_row(rule)) for rule in rules]
        with self._state.transaction() as connection:
            connection.executemany("INSERT INTO published VALUES (?, ?, ?, ?, ?, ?)", rows)

    def remove_ports(self, container: str) -> None:
        """Forget a container's translations."""
        with self._state.transaction() as connection:
            connection.execute("DELETE FROM published WHERE container = ?", (container,))

    def uplinks(self, boot: str, version: int) -> list[str] | None:
        """The links recorded when we enabled forwarding since this boot; None: we did not."""
        sql = "SELECT names FROM uplinks WHERE boot = ? AND version = ?"
        rows = self._state.query(sql, boot, version)
        return list(json.loads(rows[0]["names"])) if rows else None

    def record_uplinks(self, boot: str, version: int, names: Iterable[str]) -> None:
        """Remember between which links nothing was forwarded before we enabled forwarding."""
        row = (version, boot, json.dumps(sorted(names)))
        with self._state.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO uplinks VALUES (?, ?, ?)", row)

    def forget_uplinks(self, version: int) -> None:
        """Forget that we enabled forwarding."""
        with self._state.transaction() as connection:
            connection.execute("DELETE FROM uplinks WHERE version = ?", (version,))


def _network(row: sqlite3.Row) -> NetworkState:
    spec = NetworkSpec.model_validate_json(row["spec"])
    return NetworkState(id=row["id"], created=row["created"], bridge=row["bridge"], spec=spec)


def _leases(rows: list[sqlite3.Row]) -> list[Lease]:
    return [
        Lease(row["container"], Endpoint.model_validate_json(row["body"]), row["priority"])
        for row in rows
    ]


def _port_row(rule: PortRule) -> tuple[str, str, int, str, int]:
    return (rule.protocol, rule.host_ip, rule.host_port, rule.ip, rule.port)


def _ports(rows: list[sqlite3.Row]) -> list[tuple[str, PortRule]]:
    return [(row["container"], PortRule(*tuple(row)[1:])) for row in rows]
