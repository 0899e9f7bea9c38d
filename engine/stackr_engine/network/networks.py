"""Networks of one engine: what is recorded in the state database is made true in the kernel."""

import contextlib
import fcntl
import os
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_network

from stackr_schemas.container import Attachment, PublishedPort
from stackr_schemas.errors import Conflict, NotFound
from stackr_schemas.network import Endpoint, NetworkSpec, NetworkState

from stackr_engine.network import forwarding, ipam, observe, ruleset
from stackr_engine.network.bridge import Bridges, bridge_rule
from stackr_engine.network.endpoints import Endpoints
from stackr_engine.network.firewall import let_pass
from stackr_engine.network.inventory import addresses, links, routed_subnets
from stackr_engine.network.link import link_index
from stackr_engine.network.netlink import NetlinkSocket
from stackr_engine.network.nftables import Table, commit, netfilter_socket
from stackr_engine.network.options import bridge_options
from stackr_engine.network.ports import HolderOfPort, Ports
from stackr_engine.network.store import NetworkStore, by_gateway_rank
from stackr_engine.paths import Paths
from stackr_engine.processes import holder_of_port
from stackr_engine.state import State

EndpointList = list[Endpoint]


class Networks:
    """Networks, network namespaces, endpoints and published ports of one engine.

    Every method may be called from any thread. Nothing here is remembered between calls but
    what the database says, so the next process goes on where this one was killed.
    """

    def __init__(self, paths: Paths, state: State, holder_of_port: HolderOfPort = holder_of_port):
        self._paths = paths
        self._store = NetworkStore(state)
        self._route = NetlinkSocket()
        self._netfilter = netfilter_socket()
        self._table = Table(paths.instance)
        self._bridges = Bridges(paths, self._store, self._route)
        self._endpoints = Endpoints(paths, self._store, self._route)
        # Whoever rebuilds the rules from the records must not overlook what another thread adds.
        self._lock = threading.RLock()
        self._ports = Ports(self._store, self._table, self._netfilter, self._lock, holder_of_port)

    def close(self) -> None:
        """Let go of sockets and reserved ports; networks and containers stay."""
        self._bridges.settle()
        self._ports.close()
        self._route.close()
        self._netfilter.close()

    # Networks

    def create(self, spec: NetworkSpec) -> NetworkState:
        """Make a network. Raises Conflict if its name, bridge or subnet is taken."""
        options = bridge_options(spec)
        self._bridges.settle()
        if any(network.spec.name == spec.name for network in self.list()):
            raise Conflict(f"network {spec.name} exists already")
        network_id = secrets.token_hex(32)
        bridge = options.name or f"sk{self._paths.tag}{network_id[:8]}"
        with _subnets_chosen_by_one():
            pools = ipam.pools_for(spec, network_id, self._taken_subnets())
            chosen = spec.model_copy(update={"pools": pools})
            network = NetworkState(id=network_id, created=time.time(), bridge=bridge, spec=chosen)
            self._store.add_network(network)
            try:
                self.ensure(network)
            except BaseException:
                self.remove(network.id)
                raise
        return network

    def ensure(self, network: NetworkState) -> None:
        """Make whatever of a recorded network the kernel does not have."""
        with self._lock:
            self._bridges.ensure(network)
            if self._has_table():
                wanted = self._uplinks() | ruleset.bridge_elements(bridge_rule(network))
                commit(self._netfilter, ruleset.add(self._table, wanted))
                self._let_pass(self.list())
            else:
                self._rebuild_rules()

    def remove(self, name_or_id: str) -> None:
        """Remove a network. Raises NotFound, and Conflict while a container is in it."""
        network = self.find(name_or_id)
        self._store.remove_network(network)
        self._rebuild_rules()
        self._bridges.remove(network.bridge)
        if not self.list():
            forwarding.disable(self._store, f"sk{self._paths.tag}", {network.bridge})

    def list(self) -> list[NetworkState]:
        """All networks, the oldest first."""
        return self._store.networks()

    def find(self, name_or_id: str) -> NetworkState:
        """The network of this name, id, or beginning of an id. Raises NotFound, Conflict."""
        networks = self.list()
        exact = [n for n in networks if name_or_id in (n.spec.name, n.id)]
        found = exact or [n for n in networks if name_or_id and n.id.startswith(name_or_id)]
        if not found:
            raise NotFound(f"network {name_or_id} does not exist")
        if len(found) > 1:
            raise Conflict(f"{name_or_id} is the beginning of several networks' ids")
        return found[0]

    def reconcile(self) -> None:
        """Make bridges, rules and held ports as the database says, whatever there is now."""
        networks = self.list()
        self._ports.restore()
        self._bridges.remove_others({network.bridge for network in networks})
        for network in networks:
            # A name that someone else took meanwhile is seen by `observe`; the others must work.
            with contextlib.suppress(Conflict):
                self._bridges.ensure(network)
        self._endpoints.rejoin({network.id: network for network in networks})
        self._rebuild_rules()

    def settle(self) -> None:
        """Wait until removed networks and namespaces have left the kernel."""
        self._bridges.settle()
        self._endpoints.settle()

    def _rebuild_rules(self) -> None:
        with self._lock:
            networks = self.list()
            self._let_pass(networks)
            if networks:
                messages = ruleset.rebuild(self._table, self._wanted_elements(networks))
            else:
                messages = [self._table.add(), self._table.delete()]
            commit(self._netfilter, messages)

    def _wanted_elements(self, networks: Sequence[NetworkState]) -> ruleset.Elements:
        parts = [ruleset.bridge_elements(bridge_rule(network)) for network in networks]
        parts += [ruleset.port_elements(rule) for _, rule in self._store.ports()]
        return ruleset.merged([self._uplinks(), *parts])

    def _uplinks(self) -> ruleset.Elements:
        parts = ((version, forwarding.uplinks(self._store, version)) for version in (4, 6))
        return ruleset.merged(ruleset.uplink_elements(*part) for part in parts)

    def observe(self) -> Sequence[observe.Deviation]:
        """What the kernel holds otherwise than recorded; `reconcile` and `attach` put it right."""
        networks, leases = self.list(), self._store.leases()
        found = {link.name: link for link in links(self._route)}
        bridges = {network.id: network.bridge for network in networks}
        deviations = [
            *observe.bridge_deviations(networks, found, set(addresses(self._route))),
            *observe.host_deviations(leases, bridges, found),
            *observe.inside_deviations(self._paths, leases),
        ]
        if networks:
            wanted = self._wanted_elements(networks)
            deviations += observe.rule_deviations(self._netfilter, self._table, wanted)
        return deviations

    def _let_pass(self, networks: Sequence[NetworkState]) -> None:
        ours = f"sk{self._paths.tag}"
        named = sorted({n.bridge for n in networks if not n.bridge.startswith(ours)})
        let_pass(self._netfilter, self._paths.instance, [ours, *named] if networks else [])

    def _taken_subnets(self) -> set[ipam.Subnet]:
        here = {interface.network for _, interface in addresses(self._route)}
        recorded = {ip_network(pool.subnet) for n in self.list() for pool in n.spec.pools}
        return here | set(routed_subnets(self._route)) | recorded

    def _has_table(self) -> bool:
        return self._table.exists(self._netfilter)

    # Namespaces and endpoints

    def open_namespace(self, container_id: str) -> None:
        """Make the container's network namespace, with loopback up; one that exists stays."""
        self._endpoints.open_namespace(container_id)

    def close_namespace(self, container_id: str) -> None:
        """Unpublish the container's ports, free its addresses and let its namespace go."""
        self.unpublish(container_id)
        self._endpoints.close_namespace(container_id)

    def holders(self) -> set[str]:
        """The ids of containers that have a namespace, an address or a port here.

        `close_namespace` frees what those hold that the engine knows no more.
        """
        folder = self._paths.netns("x").parent
        found = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
        found |= {lease.container for lease in self._store.leases()}
        return found | {container for container, _ in self._store.ports()}

    def attach(self, container_id: str, attachments: Sequence[Attachment]) -> EndpointList:
        """Connect a container's namespace to networks, also of a running container."""
        return self.attach_many({container_id: attachments})[container_id]

    def attach_many(self, attachments: dict[str, Sequence[Attachment]]) -> dict[str, EndpointList]:
        """Connect many containers in one go. Raises Conflict, StackrError; then none is."""
        networks = {network.spec.name: network for network in self.list()}
        networks |= {network.id: network for network in networks.values()}
        for wanted in {item.network for some in attachments.values() for item in some}:
            network = networks.get(wanted) or self.find(wanted)
            networks[wanted] = network
            if not link_index(network.bridge, self._route.socket):
                self.ensure(network)
        return self._endpoints.attach_many(attachments, networks)

    def detach(self, container_id: str, network: str) -> None:
        """Take a container out of one network and free its address."""
        self._endpoints.detach(container_id, self.find(network).id)

    def endpoints(self, container_id: str) -> EndpointList:
        """The endpoints of one container as recorded."""
        return [lease.endpoint for lease in self._store.leases_of(container_id)]

    def host_address(self, container_id: str) -> str:
        """The host's address as the container sees it; empty if it is in no network."""
        networks = {network.id: network for network in self.list()}
        for lease in by_gateway_rank(self._store.leases_of(container_id)):
            return networks[lease.endpoint.network_id].spec.pools[0].gateway
        return ""

    # Published ports

    def reserve_ports(
        self, container_id: str, ports: Sequence[PublishedPort]
    ) -> tuple[PublishedPort, ...]:
        """Hold host ports for a container that will start; returns them with `host_port` chosen.

        Raises Conflict naming who has a port, where that can be known.
        """
        return self._ports.reserve(container_id, ports)

    def publish(
        self, container_id: str, ports: Sequence[PublishedPort]
    ) -> tuple[PublishedPort, ...]:
        """Forward host ports to an attached container; returns them with `host_port` chosen."""
        networks = {network.id: network for network in self.list()}
        return self._ports.publish(container_id, ports, networks)

    def unpublish(self, container_id: str) -> None:
        """Stop forwarding to a container and let its host ports go."""
        self._ports.unpublish(container_id, has_table=self._has_table())


@contextmanager
def _subnets_chosen_by_one() -> Iterator[None]:
    """Keep every engine of this host from choosing the same subnet at the same time."""
    # A lock on a folder that every process can open leaves nothing behind.
    folder = os.open("/sys/class/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
