"""Claims to subnets: a bridge is one, in the network namespace that it is in, and whoever is about to connect makes it.

A storage remembers which subnets its networks are to have. Who has them, the kernel says: the bridges that are there,
whose aliases name network and storage. What another storage took meanwhile is exchanged if nobody asked for it, else
it is an error that says whose it is. The same goes for the names of bridges.

Storages take turns by a lock. Those that do not see each other's locks, for they have a /run of their own, may make
bridges at the same moment: each looks once more afterwards, and who sees another's yields.
"""

from __future__ import annotations

import os
import time

from pypod.engine.core.locks import SHARED, Lock, locked
from pypod.engine.networks import user_bridges
from pypod.engine.networks.bridge_alias import PREFIX, alias_of, is_of, is_of_nobody, is_ours, storage_of
from pypod.engine.networks.bridge_removal import Turn, remove_bridge
from pypod.errors import InUse, InvalidSpec
from pypod.model.network import BRIDGE, DEFAULT_ID, NetworkSpec
from pypod.network import links
from pypod.store import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.engine.core.context import Context
    from pypod.network.creation import Surroundings
    from pypod.network.host import Host
    from pypod.network.subnets import Taken

_ATTEMPTS = 50
_PAUSE_S = 0.02
_LOOKS = 10  # at a subnet that cannot be exchanged: the kernel unplugs by and by who has just ended


def connecting(context: Context) -> Lock:
    """Return the lock that whoever is connecting somebody shares: meanwhile no bridge that seems idle is taken away."""
    return Lock(context.layout.root, SHARED)


def claim(context: Context, network: NetworkSpec, *, again: bool = False) -> NetworkSpec:
    """Have a network's bridge, with all its addresses but not yet set up; return the network as it is now.

    Nothing is done for one that is up, unless it is to be looked at ``again``. Raises InUse naming who has a subnet
    that was asked for, or that somebody has an address of; NoSuchNetwork, Unsupported, OSError.
    """
    if network.driver != BRIDGE or user_bridges.are_elsewhere(context) or (not again and is_up(context, network)):
        return network
    with Turn() as turn, turn:
        made, left = _claim(context, network.id)
    if made.subnets != network.subnets:
        from pypod.engine.networks import name_service

        name_service.let_go(context, made)
    if left:
        from pypod.engine.networks import bridge_sweep

        bridge_sweep.begin(context)
    return made


def foreseen(context: Context, network: NetworkSpec) -> NetworkSpec:
    """Return the network as ``claim`` would, with nothing done. Raises InUse."""
    if network.driver != BRIDGE or user_bridges.are_elsewhere(context) or is_up(context, network):
        return network
    from pypod.network.host import Host

    return _moved(context, network, Host(), is_held=_is_held(context, network.id))


def is_up(context: Context, network: NetworkSpec) -> bool:
    """Return whether a network's bridge is there, ours, and set up (10 us).

    By its index if that says so: to ask for the alias takes a lock that the kernel holds for whoever deletes a link.
    """
    if links.index_of(network.interface) == links.index_for(alias_of(context, network)):
        return links.is_up(network.interface)
    alias, up = links.alias_and_state(network.interface)
    return up and is_ours(context, network, alias)


def _claim(context: Context, network_id: str) -> tuple[NetworkSpec, bool]:
    """Return the network as it is now, and whether storages that are gone, or a crash, have left bridges."""
    from pypod.network.host import Host

    with context.database.transaction() as connection, connection:
        before = networks.find(context.database, network_id)
        is_held = _is_held(context, network_id)
        for attempt in range(_ATTEMPTS):
            host = Host()
            if _clear_way(before, host):
                continue
            try:
                wanted = _moved(context, before, host, is_held=is_held)
            except InUse:
                if not _take_over(context, before, host):
                    if attempt >= _LOOKS:
                        raise
                    time.sleep(_PAUSE_S)
                continue
            made = _make(context, wanted, host, is_held=is_held)
            if made is None:
                continue
            if not made or not _is_contested(context, wanted):
                break
            links.remove_link(wanted.interface)
            time.sleep(_PAUSE_S * os.urandom(1)[0] / 255)
        else:
            raise InUse(before.name, f"somebody else takes every subnet that network {before.name} is to have")
        if wanted.subnets != before.subnets:
            networks.renumber(connection, wanted)
        elif wanted != before:
            networks.replace(connection, wanted)
        if not is_held:  # nor can anybody be given an address before this transaction has ended
            _withdraw_what_was_left(wanted)
    return wanted, _has_leftovers(context, host)


def _has_leftovers(context: Context, host: Host) -> bool:
    known = {one.interface for one in networks.all_networks(context.database)}
    storage = storage_of(context)
    return any(
        is_of_nobody(alias) or (name not in known and is_of(storage, alias)) for name, alias in host.aliases.items()
    )


def _clear_way(network: NetworkSpec, host: Host) -> bool:
    """Take away bridges that nothing is plugged into, of storages that are gone, where they are in the way."""
    if not (idle := unclaimed(host)):
        return False
    found = idle & _in_way(network, host)
    for name in found:
        remove_bridge(name)
    return bool(found)


def _in_way(network: NetworkSpec, host: Host) -> set[str]:
    from ipaddress import ip_network

    subnets = [ip_network(one.subnet) for one in network.subnets]
    return {
        network.interface,
        *(one.interface for one in host.taken if any(one.range.overlaps(mine) for mine in subnets)),
    }


def _take_over(context: Context, network: NetworkSpec, host: Host) -> bool:
    """Take away the bridges in the way that nobody needs at this moment, whose storages are there; those make others.

    Of our own storage these are bridges of networks that are not there any more.
    """
    storage = storage_of(context)
    known = {alias_of(context, one) for one in networks.all_networks(context.database)}
    in_way = _in_way(network, host)
    taken = False
    for _, name in links.idle_bridges(lambda alias: alias.startswith(PREFIX) and alias not in known):
        alias = host.aliases.get(name, "")
        is_own = is_of(storage, alias)
        root = alias.partition(" of ")[2].rpartition(" (")[0]
        fd = locked(root) if name in in_way and root and not is_own else None
        if name not in in_way or (fd is None and not is_own):
            continue
        try:
            if name in (one for _, one in links.idle_bridges(lambda found: found == alias)):  # noqa: B023
                remove_bridge(name)
                taken = True
        finally:
            if fd is not None:
                os.close(fd)
    return taken


def _is_held(context: Context, network_id: str) -> bool:
    """Return whether somebody has an address of the network, or is to have a certain one."""
    if any(networks.holders(context.database, network_id)):
        return True
    return any(asked.addresses for _, asked, _ in networks.connected_to(context.database, network_id))


def _moved(context: Context, network: NetworkSpec, host: Host, *, is_held: bool) -> NetworkSpec:
    """Return the network as it can be had. Raises InUse."""
    from pypod.network import creation

    subnets = network.subnets
    may_move = [not is_held and (one.chosen or network.id == DEFAULT_ID) for one in subnets]
    asked = network.replace(
        subnets=tuple(one.replace(chosen=free) for one, free in zip(subnets, may_move, strict=True))
    )
    everything = around(networks.all_networks(context.database), host)
    try:
        found = creation.moved(asked, _rivals(context, network, host), everything, os.urandom(7))
    except InvalidSpec as error:
        raise InUse(network.name, f"network {network.name}: {error.message}", hint=error.hint) from error
    return found.replace(subnets=subnets) if is_held else found


def _rivals(context: Context, network: NetworkSpec, host: Host) -> Surroundings:
    """Return what is in the way of a network that has its subnets already.

    Of interfaces that are none of pypod's it is only what lies in the subnets, as of routes: what is longer wins.
    """
    from pypod.network.creation import Surroundings

    own = own_bridge(context, network, host)
    interfaces = frozenset(name for name in host.interfaces.values() if name != own)
    claims = {name for name, alias in host.aliases.items() if alias.startswith(PREFIX)}
    taken = (one for one in named(host) if not one.routed and one.interface not in ("", own))
    return Surroundings(
        interfaces=interfaces, taken=tuple(one.replace(routed=one.interface not in claims) for one in taken)
    )


def own_bridge(context: Context, network: NetworkSpec, host: Host) -> str:
    """Return the interface of a network if it is there and ours, or an empty text."""
    return network.interface if is_ours(context, network, host.aliases.get(network.interface, "")) else ""


def unclaimed(host: Host) -> frozenset[str]:
    """Return the bridges of storages that are gone, with nothing plugged in: they go when they are in the way."""
    if not any(is_of_nobody(alias) for alias in host.aliases.values()):
        return frozenset()
    return frozenset(name for _, name in links.idle_bridges(is_of_nobody))


def around(others: Iterable[NetworkSpec], host: Host, but: frozenset[str] = frozenset()) -> Surroundings:
    """Return what a new network has to leave alone, on the host and of the ``others`` in its storage.

    Interfaces in ``but`` are none.
    """
    from ipaddress import ip_network

    from pypod.network.creation import Surroundings
    from pypod.network.subnets import Taken

    others = tuple(others)
    own = [Taken(range=ip_network(s.subnet), by=f"network {one.name}") for one in others for s in one.subnets]
    interfaces = {*host.interfaces.values(), *(one.interface for one in others)} - but
    there = (one for one in named(host) if one.interface not in but)
    return Surroundings(interfaces=frozenset(interfaces), taken=(*own, *there))


def named(host: Host) -> list[Taken]:
    """Return what is taken on a host, by networks of storages where that is known."""
    found = []
    for one in host.taken:
        alias = host.aliases.get(one.interface, "")
        by = alias.removeprefix("pypod ").rpartition(" (")[0] if alias.startswith(PREFIX) else ""
        found.append(one.replace(by=by) if by else one)
    return found


def _make(context: Context, network: NetworkSpec, host: Host, *, is_held: bool) -> bool | None:
    """Make a network's bridge, or what it lacks; return whether it was made, None when the host is another by now."""
    addresses = network.gateway_addresses()
    if own_bridge(context, network, host):
        if not is_held and _has_other_addresses(network, host):
            links.remove_link(network.interface)  # it was moved by somebody who was killed before they said so
            return None
        links.add_addresses(network.interface, addresses)
        return False
    mtu, vlan = int(network.option("mtu") or 0), int(network.option("vlan") or 0)
    try:
        links.make_bridge(network.interface, addresses, mtu, alias_of(context, network), vlan)
    except FileExistsError:  # this moment
        return None
    return True


def _has_other_addresses(network: NetworkSpec, host: Host) -> bool:
    from ipaddress import ip_network

    own = [ip_network(one.subnet) for one in network.subnets]
    there = [one.range for one in host.taken if one.interface == network.interface and not one.routed]
    return any(one not in own and not one.is_link_local for one in there)


def _is_contested(context: Context, network: NetworkSpec) -> bool:
    """Return whether another bridge with addresses of the same subnets was made at the same moment."""
    from pypod.network.host import Host
    from pypod.network.subnets import require_free

    try:
        require_free(network.subnets, [one for one in _rivals(context, network, Host()).taken if not one.routed])
    except InvalidSpec:
        return True
    return False


def _withdraw_what_was_left(network: NetworkSpec) -> None:
    """Take away what leads to addresses that nobody has been given yet: they were another storage's once."""
    from pypod.network import firewall

    with firewall.open_channel() as channel:
        firewall.withdraw_ways(channel, firewall.ranges_of(network))
