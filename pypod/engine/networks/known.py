"""The existing networks, looked up by the names people use. The one named podman exists without being created."""

from __future__ import annotations

import os
import time

from pypod.engine.configuration import current
from pypod.engine.core.boundary import Boundary
from pypod.errors import InvalidSpec, NoSuchNetwork
from pypod.model.ids import new_id
from pypod.model.network import DEFAULT_ID, DEFAULT_NETWORK, NetworkSpec
from pypod.store import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.engine.configuration.files import Settings
    from pypod.engine.core.context import Context
    from pypod.network.creation import Surroundings
    from pypod.network.subnets import Pool

_TABLE = "network"  # of containers.conf(5)


def find(context: Context, ref: str, *, save: bool = True) -> NetworkSpec:
    """Return the network that ``ref`` refers to. Raises NoSuchNetwork, AmbiguousName.

    Without ``save`` a missing default network is not created: what it would be is returned.
    """
    try:
        return networks.find(context.database, ref)
    except NoSuchNetwork:
        if ref != DEFAULT_NETWORK and not (ref and DEFAULT_ID.startswith(ref)):
            if ref != current.of(context).get("network", "default_network"):
                raise
            return _named(context, ref, save=save)
    return default(context, save=save)


def _named(context: Context, name: str, *, save: bool) -> NetworkSpec:
    """Return the network that containers.conf(5) has in place of the one named podman, created at its first use."""
    from pypod.network import creation, subnets

    with Boundary("create network"), context.database.transaction() as connection, connection:
        others = networks.all_networks(context.database)
        found = next((one for one in others if one.name == name), None)
        if found is not None:
            return found
        around = surroundings(context, others)
        wanted = (subnets.subnet(around.default_subnet),) if around.default_subnet else ()
        asked = NetworkSpec(id=new_id(), name=name, created_ns=time.time_ns(), subnets=wanted, dns=True)
        try:
            made = creation.complete(asked, around, os.urandom(7))
        except InvalidSpec:  # its subnet is taken
            made = creation.complete(asked.replace(subnets=()), around, os.urandom(7))
        if save:
            networks.add(connection, made)
    return made


def default(context: Context, *, save: bool = True) -> NetworkSpec:
    """Return the default network, which is created at its first use; without ``save``, what it would be."""
    database = context.database
    try:
        return networks.find(database, DEFAULT_ID)
    except NoSuchNetwork:
        pass
    from pypod.network import creation

    if not save:
        return creation.default(surroundings(context, networks.all_networks(database)), time.time_ns())
    with Boundary("create network"), database.transaction() as connection, connection:
        others = networks.all_networks(database)
        made = next((one for one in others if one.id == DEFAULT_ID), None)
        if made is None:
            made = creation.default(surroundings(context, others), time.time_ns())
            networks.add(connection, made)
    return made


def surroundings(context: Context, others: Sequence[NetworkSpec]) -> Surroundings:
    """Return what a new network must avoid, on the host and among ours, and where its subnets are chosen from."""
    from pypod.engine.networks import claims
    from pypod.network.host import Host

    host, settings = Host(), current.of(context)
    return claims.around(others, host, but=claims.unclaimed(host)).replace(
        pools=_pools(settings), default_subnet=_default_subnet(settings)
    )


def _pools(settings: Settings) -> tuple[Pool, ...]:
    from pypod.network.subnets import pool

    found = settings.get(_TABLE, "default_subnet_pools") or ()
    try:
        return tuple(pool(one["base"], one["size"]) for one in found)
    except (ValueError, TypeError, KeyError) as error:
        raise settings.wrong(_TABLE, "default_subnet_pools", f"{error}") from error


def _default_subnet(settings: Settings) -> str:
    from pypod.network.subnets import subnet

    text: str = settings.get(_TABLE, "default_subnet") or ""
    try:
        return text and subnet(text).subnet
    except InvalidSpec as error:
        raise settings.wrong(_TABLE, "default_subnet", f"failed to parse default subnet: {error.message}") from error
