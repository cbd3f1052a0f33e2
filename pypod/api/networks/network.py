"""The handle of a network."""

from __future__ import annotations

from _collections_abc import Mapping, Sequence

from pypod.api import types
from pypod.api.container import Container
from pypod.api.default import opened
from pypod.engine.core.boundary import Boundary
from pypod.engine.networks import bridges
from pypod.engine.networks.names import service
from pypod.errors import InUse, InvalidSpec, NoSuchContainer, NoSuchNetwork
from pypod.model.network import BRIDGE, DEFAULT_ID, NetworkSpec
from pypod.store import networks, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Network:
    """A network: an engine and an id. Pods and containers that are connected to it reach each other.

    >>> front = Network.create("front")                                            # doctest: +SKIP
    >>> pod = Pod.create("web", network="front")                                   # doctest: +SKIP
    """

    __slots__ = ("_engine", "_name", "id")

    def __init__(self, engine: types.Engine, identifier: str, name: str) -> None:
        self._engine = engine
        self.id = identifier
        self._name = name

    @classmethod
    def create(
        cls,
        name: str = "",
        *,
        driver: str = BRIDGE,
        subnets: Sequence[str] = (),
        gateways: Sequence[str] = (),
        ip_ranges: Sequence[str] = (),
        ipv6: bool = False,
        internal: bool = False,
        dns: bool = True,
        dns_servers: Sequence[str] = (),
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        routes: Sequence[str | types.Route] = (),
        interface: str = "",
        ipam: str = "",
        engine: types.Engine | None = None,
    ) -> Network:
        """Create a network; see ``Networks.create``."""
        return opened(engine).networks.create(
            name,
            driver=driver,
            subnets=subnets,
            gateways=gateways,
            ip_ranges=ip_ranges,
            ipv6=ipv6,
            internal=internal,
            dns=dns,
            dns_servers=dns_servers,
            options=options,
            labels=labels,
            routes=routes,
            interface=interface,
            ipam=ipam,
        )

    @classmethod
    def get(cls, ref: str, *, engine: types.Engine | None = None) -> Network:
        """Return the network with this name, id or id prefix. Raises NoSuchNetwork."""
        return opened(engine).networks.get(ref)

    @classmethod
    def list(cls, *, engine: types.Engine | None = None) -> list[Network]:
        """Return all networks, sorted by name."""
        return opened(engine).networks.list()

    @property
    def name(self) -> str:
        """The name, which never changes."""
        return self._name

    @property
    def engine(self) -> types.Engine:
        """The engine it belongs to."""
        return self._engine

    def spec(self) -> NetworkSpec:
        """Return its specification. Raises NoSuchNetwork when it was removed."""
        try:
            return networks.find(self._engine.database, self.id)
        except NoSuchNetwork:
            raise NoSuchNetwork(self._name) from None

    def containers(self) -> Sequence[Container]:
        """Return the connected containers, running or not; for a pod, its infra."""
        found = []
        for identifier, _, _ in networks.connected_to(self._engine.database, self.id):
            try:
                found.append(self._engine.containers.get(identifier))
            except NoSuchContainer:  # removed just now
                continue
        return found

    def inspect(self) -> dict[str, types.Any]:
        """Return all its details, in podman's form."""
        from pypod.engine.inspect.networks import inspect_network

        return inspect_network(self._engine, self.spec())

    def update(self, *, dns_add: Sequence[str] = (), dns_drop: Sequence[str] = ()) -> None:
        """Change the DNS servers that are asked for names unknown to the network itself.

        Raises InvalidSpec for an invalid address, and when DNS is disabled for the network.
        """
        from pypod.network.creation import dns_servers

        added, dropped = dns_servers(dns_add, "--dns-add"), dns_servers(dns_drop, "--dns-drop")
        self.spec()
        with Boundary(f"update network {self._name}"), self._engine.database.transaction() as connection, connection:
            spec = self.spec()
            if not spec.dns:
                raise InvalidSpec("--dns-add", f"DNS is not enabled for network {self._name}: invalid argument")
            kept = [one for one in spec.dns_servers if one not in dropped]
            networks.replace(connection, spec.replace(dns_servers=tuple(dict.fromkeys((*kept, *added)))))

    def remove(self, *, force: bool = False, timeout: float | None = None) -> None:
        """Remove the network and its bridge. Does nothing if it no longer exists.

        With ``force`` the connected containers and pods are removed first; running ones are killed after ``timeout``
        seconds. Raises InUse when a container or pod is connected, InvalidSpec for the default network.
        """
        if self.id == DEFAULT_ID:
            raise InvalidSpec("NETWORK", f"default network {self._name} cannot be removed")
        database = self._engine.database
        try:
            spec = self.spec()
        except NoSuchNetwork:
            return
        if force:
            self._remove_connected(timeout)
        networks.remove(database, self.id)
        try:
            networks.find(database, self.id)
        except NoSuchNetwork:
            pass
        else:
            message = (
                f'"{self._name}" has associated containers with it. Use -f to forcibly delete containers and pods: '
                "network is being used"
            )
            raise InUse(self._name, message)
        with Boundary(f"remove network {self._name}"):
            bridges.remove(self._engine, spec)
            service.remove_left_behind(self._engine)

    def _remove_connected(self, timeout: float | None) -> None:
        for container in self.containers():
            try:
                record = container.record()
            except NoSuchContainer:
                continue
            if record.kind == records.INFRA:
                self._engine.pods.get(record.pod_id).remove(force=True, timeout=timeout)
                continue
            for other in container.dependents():
                other.remove(force=True, timeout=timeout)
            container.remove(force=True, timeout=timeout)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Network {self._name}>"
