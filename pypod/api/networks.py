"""The networks of an engine: create, find, list, prune."""

from __future__ import annotations

import os
import time
from _collections_abc import Callable, Iterable, Mapping, Sequence

from pypod.api import types
from pypod.api.network import Network
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
    """The networks of an engine. The one named podman is there without being created."""

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
        """Create a network; its bridge is made when the first pod or container is connected.

        ``driver`` is bridge, macvlan or ipvlan. The first of ``gateways`` and of ``ip_ranges`` belong to the first of
        ``subnets``, which are in CIDR notation. Without one, a free subnet is chosen, with ``ipv6`` one of that family,
        too. An ``internal`` network leads nowhere else. ``routes`` are written DESTINATION,GATEWAY[,METRIC].
        ``options`` are the driver's: isolate, mtu and vlan of a bridge; parent, mode and mtu of the others.
        ``interface`` is the bridge's name on the host. ``ipam`` is host-local, or none for no addresses.

        Raises InvalidSpec, also for a subnet that somebody has, and AlreadyExists; then nothing was created.

        >>> engine.networks.create("front", subnets=["10.89.7.0/24"])             # doctest: +SKIP
        <Network front bridge>
        """
        from pypod.network import creation

        known.default(self._engine)  # podman has it before any other
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
        # nobody else adds a network until this transaction has ended: names and subnets that are free stay so
        with Boundary("create network"), database.transaction() as connection, connection:
            others = networks.all_networks(database)
            taken = {one.name for one in others}
            if not name:
                draft = draft.replace(name=creation.free_name(taken))
            if draft.name in taken:
                networks.add(connection, draft)  # which says so before anything else can be wrong
            spec = creation.complete(draft, known.surroundings(others), os.urandom(7))
            networks.add(connection, spec)
        return Network(self._engine, spec.id, spec.name)

    def find(self, ref: str) -> NetworkSpec:
        """Return what was asked of the network that ``ref`` names. Raises NoSuchNetwork, AmbiguousName."""
        return known.find(self._engine, ref)

    def get(self, ref: str) -> Network:
        """Return the network that a name, an id or the beginning of one names. Raises NoSuchNetwork, AmbiguousName."""
        spec = self.find(ref)
        return Network(self._engine, spec.id, spec.name)

    def exists(self, ref: str) -> bool:
        """Return whether ``get`` would find one."""
        try:
            self.get(ref)
        except NoSuchNetwork:
            return False
        return True

    def list(self) -> list[Network]:
        """Return all networks by name."""
        return [Network(self._engine, one.id, one.name) for one in self.specs()]

    def specs(self) -> Sequence[NetworkSpec]:
        """Return what was asked of each network, by name."""
        known.default(self._engine)
        return networks.all_networks(self._engine.database)

    def unused(self) -> Sequence[NetworkSpec]:
        """Return what was asked of the networks that nobody is connected to, but for the default one; by name."""
        return [one for one in networks.unused_networks(self._engine.database) if one.id != DEFAULT_ID]

    def names_of(self, refs: Iterable[str]) -> set[str]:
        """Return the names of those networks that some names, ids or beginnings of ids name; others are left out."""
        return networks.names_of(self._engine.database, refs)

    def reload(self, containers: Iterable[types.Container] | None = None) -> Sequence[str]:
        """Make again what the host has for networks, where it is missing: after a flush of the firewall, say.

        That is bridges, interfaces, firewall rules, published ports, name servers and a user's pasta or slirp4netns,
        for those of ``containers`` that run, or for everybody. Returns the ids of those that it was done for. What is
        there stays as it is, and connections through it go on. Raises Unsupported without nft.
        """
        from pypod.engine.networks.reloading import reload

        return reload(self._engine, None if containers is None else [one.id for one in containers])

    def prune(self, only: Callable[[NetworkSpec], bool] | None = None) -> Sequence[str]:
        """Remove the networks that nobody is connected to, but for the default one; return their names.

        ``only`` is asked for each whether it is to go.
        """
        removed = []
        for one in self.unused():
            if only is not None and not only(one):
                continue
            try:
                Network(self._engine, one.id, one.name).remove()
            except InUse:  # somebody was connected this moment
                continue
            removed.append(one.name)
        return removed
