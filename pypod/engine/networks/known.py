"""The existing networks, looked up by the names people use. The one named podman exists without being created."""

from __future__ import annotations

import time

from pypod.engine.core.boundary import Boundary
from pypod.engine.networks import claims
from pypod.errors import NoSuchNetwork
from pypod.model.network import DEFAULT_ID, DEFAULT_NETWORK, NetworkSpec
from pypod.store import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.engine.core.context import Context
    from pypod.network.creation import Surroundings


def find(context: Context, ref: str, *, save: bool = True) -> NetworkSpec:
    """Return the network that ``ref`` refers to. Raises NoSuchNetwork, AmbiguousName.

    Without ``save`` a missing default network is not created: what it would be is returned.
    """
    try:
        return networks.find(context.database, ref)
    except NoSuchNetwork:
        if ref != DEFAULT_NETWORK and not (ref and DEFAULT_ID.startswith(ref)):
            raise
    return default(context, save=save)


def default(context: Context, *, save: bool = True) -> NetworkSpec:
    """Return the default network, which is created at its first use; without ``save``, what it would be."""
    database = context.database
    try:
        return networks.find(database, DEFAULT_ID)
    except NoSuchNetwork:
        pass
    from pypod.network import creation

    if not save:
        return creation.default(surroundings(networks.all_networks(database)), time.time_ns())
    with Boundary("create network"), database.transaction() as connection, connection:
        others = networks.all_networks(database)
        made = next((one for one in others if one.id == DEFAULT_ID), None)
        if made is None:
            made = creation.default(surroundings(others), time.time_ns())
            networks.add(connection, made)
    return made


def surroundings(others: Sequence[NetworkSpec]) -> Surroundings:
    """Return what a new network must avoid, on the host and among ours."""
    from pypod.network.host import Host

    host = Host()
    return claims.around(others, host, but=claims.unclaimed(host))
