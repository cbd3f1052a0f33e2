"""The networks of an engine: create, find, list, prune."""

from __future__ import annotations

import os
import time
from _collections_abc import Callable, Iterable, Mapping, Sequence

from pypod.api import types
from pypod.api.networks.network import Network
from pypod.engine.core.boundary import Boundary
from pypod.engine.networks import known
from pypod.errors import InUse, NoSuchNetwork
from pypod.model import ids
from pypod.model.network import BRIDGE, DEFAULT_ID, DEFAULT_NETWORK, NetworkSpec, Route
from pypod.store import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


class Networks:
    """The networks of an engine. The default network, podman, exists without being created."""

    __slots__ = ("_engine",)

    def __init__(self, engine: types.Engine) -> None:
        self._engine = engine

    def create(
        self,
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
        routes: Sequence[str | Route] = (),
        interface: str = "",
        ipam: str = "",
    ) -> Network:
        """Create a network; its bridge is created when the first pod or container is connected.

        ``driver`` is bridge, macvlan or ipvlan. ``subnets`` are in CIDR notation; the first of ``gateways`` and of
        ``ip_ranges`` belong to the first of them, and so on. Without a subnet, a free one is chosen, with ``ipv6`` also
        an IPv6 one. An ``internal`` network has no way out. ``routes`` are written DESTINATION,GATEWAY[,METRIC].
        ``options`` are the driver's: isolate, mtu and vlan of a bridge; parent, mode and mtu of the others.
        ``interface`` is the bridge's name on the host. ``ipam`` is host-local, or none for no addresses.

        Raises InvalidSpec, also for a subnet in use, and AlreadyExists; then nothing was created.

        >>> engine.networks.create("front", subnets=["10.89.7.0/24"])             # doctest: +SKIP
        <Network front bridge>
        """
        from pypod.network import creation

        known.default(self._engine)  # the default network exists before any other, as in podman
        draft = NetworkSpec(
            id=ids.new_id(),
            name=name or DEFAULT_NETWORK,
            created_ns=time.time_ns(),
            driver=driver,
            interface=interface,
            subnets=creation.subnets(subnets, gateways, ip_ranges),
            ipv6=ipv6,
            internal=internal,
            dns=dns,
            dns_servers=creation.dns_servers(dns_servers),
            ipam=ipam,
            options=tuple((options or {}).items()),
            labels=tuple(sorted((labels or {}).items())),
            routes=tuple(creation.route(one) if isinstance(one, str) else one for one in routes),
        )
        database = self._engine.database
        # no other process adds a network until this transaction ends: free names and subnets stay free
        with Boundary("create network"), database.transaction() as connection, connection:
            others = networks.all_networks(database)
            taken = {one.name for one in others}
            if not name:
                draft = draft.replace(name=creation.free_name(taken))
            if draft.name in taken:
                networks.add(connection, draft)  # raises AlreadyExists before any other error
            spec = creation.complete(draft, known.surroundings(self._engine, others), os.urandom(7))
            networks.add(connection, spec)
        return Network(self._engine, spec.id, spec.name)

    def find(self, ref: str) -> NetworkSpec:
        """Return the specification of the network with this name, id or id prefix.

        Raises NoSuchNetwork, AmbiguousName.
        """
        return known.find(self._engine, ref)

    def get(self, ref: str) -> Network:
        """Return the network with this name, id or id prefix. Raises NoSuchNetwork, AmbiguousName."""
        spec = self.find(ref)
        return Network(self._engine, spec.id, spec.name)

    def exists(self, ref: str) -> bool:
        """Return whether ``get`` would find a network."""
        try:
            self.get(ref)
        except NoSuchNetwork:
            return False
        return True

    def list(self) -> list[Network]:
        """Return all networks, sorted by name."""
        return [Network(self._engine, one.id, one.name) for one in self.specs()]

    def specs(self) -> Sequence[NetworkSpec]:
        """Return the specifications of all networks, sorted by name."""
        known.default(self._engine)
        return networks.all_networks(self._engine.database)

    def unused(self) -> Sequence[NetworkSpec]:
        """Return the specifications of the networks without connections, except for the default one, sorted by name."""
        return [one for one in networks.unused_networks(self._engine.database) if one.id != DEFAULT_ID]

    def names_of(self, refs: Iterable[str]) -> set[str]:
        """Return the names of the networks with these names, ids or id prefixes; unknown ones are left out."""
        return networks.names_of(self._engine.database, refs)

    def reload(self, containers: Iterable[types.Container] | None = None) -> Sequence[str]:
        """Recreate the host's parts of networks where they are missing, for example after a flush of the firewall.

        These are bridges, interfaces, firewall rules, published ports, name servers and a user's pasta or slirp4netns,
        for those of ``containers`` that are running, or for all. Returns the ids of these containers. What exists stays
        as it is, and connections through it continue. Raises Unsupported without nft.
        """
        from pypod.engine.networks.reloading import reload

        return reload(self._engine, None if containers is None else [one.id for one in containers])

    def prune(self, only: Callable[[NetworkSpec], bool] | None = None) -> Sequence[str]:
        """Remove the networks without connections, except for the default one; return their names.

        ``only`` returns for each whether to remove it.
        """
        removed = []
        for one in self.unused():
            if only is not None and not only(one):
                continue
            try:
                Network(self._engine, one.id, one.name).remove()
            except InUse:  # a container was connected just now
                continue
            removed.append(one.name)
        return removed
