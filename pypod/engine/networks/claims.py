"""Claims to subnets: a bridge is one, in its network namespace, and the first container to be attached makes it.

A storage remembers which subnets its networks should have. The kernel knows who has them: the existing bridges, whose
aliases name network and storage. If another storage has taken a subnet meanwhile, another is chosen unless this one was
asked for; then it is an error that names the holder. The same goes for the names of bridges.

A lock serializes storages. Storages that do not share a lock, because their /run differs, may make bridges at the same
moment: each checks again afterwards, and yields when it sees the other's.
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
_LOOKS = 10  # at a subnet that cannot be exchanged: the kernel removes ports of ended containers with a delay


def connecting(context: Context) -> Lock:
    """Return the lock that attaching processes share: while it is held, no bridge that seems idle is removed."""
    return Lock(context.layout.root, SHARED)


def claim(context: Context, network: NetworkSpec, *, again: bool = False) -> NetworkSpec:
    """Make a network's bridge with all its addresses, but not yet up; return the network as it is now.

    A bridge that is up is left alone unless ``again``. Raises InUse, naming the holder, for a subnet that was asked for
    or has allocated addresses; NoSuchNetwork, Unsupported, OSError.
    """
    if network.driver != BRIDGE or user_bridges.are_elsewhere(context) or (not again and is_up(context, network)):
        return network
    with Turn() as turn, turn:
        made, left = _claim(context, network.id)
    if made.subnets != network.subnets:
        from pypod.engine.networks.names import service

        service.release(context, made)
    if left:
        from pypod.engine.networks import bridge_sweep

        bridge_sweep.begin(context)
    return made


def foreseen(context: Context, network: NetworkSpec) -> NetworkSpec:
    """Return the network as ``claim`` would, without side effects. Raises InUse."""
    if network.driver != BRIDGE or user_bridges.are_elsewhere(context) or is_up(context, network):
        return network
    from pypod.network.host import Host

    return _moved(context, network, Host(), is_held=_is_held(context, network.id))


def is_up(context: Context, network: NetworkSpec) -> bool:
    """Return whether a network's bridge exists, is ours, and up (10 us).

    By its index, which follows from the alias, if possible: reading that takes a lock held while a link is deleted.
    """
    if links.index_of(network.interface) == links.index_for(alias_of(context, network)):
        return links.is_up(network.interface)
    alias, up = links.alias_and_state(network.interface)
    return up and is_ours(context, network, alias)


def _claim(context: Context, network_id: str) -> tuple[NetworkSpec, bool]:
    """Return the network as it is now, and whether bridges were left behind by a crash or by deleted storages."""
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
            raise InUse(before.name, f"every subnet that network {before.name} could use is taken")
        if wanted.subnets != before.subnets:
            networks.renumber(connection, wanted)
        elif wanted != before:
            networks.replace(connection, wanted)
        if not is_held:  # and no address can be allocated before this transaction ends
            _withdraw_what_was_left(wanted)
    return wanted, _has_leftovers(context, host)


def _has_leftovers(context: Context, host: Host) -> bool:
    known = {one.interface for one in networks.all_networks(context.database)}
    storage = storage_of(context)
    return any(
        is_of_nobody(alias) or (name not in known and is_of(storage, alias)) for name, alias in host.aliases.items()
    )


def _clear_way(network: NetworkSpec, host: Host) -> bool:
    """Remove conflicting bridges without ports whose storages no longer exist."""
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
    """Remove conflicting bridges of other storages that are idle now; those storages make new ones when needed.

    Of our own storage, only bridges of networks that no longer exist are removed.
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
    """Return whether the network has allocated addresses, or a connection that asks for a particular one."""
    if any(networks.holders(context.database, network_id)):
        return True
    return any(asked.addresses for _, asked, _ in networks.connected_to(context.database, network_id))


def _moved(context: Context, network: NetworkSpec, host: Host, *, is_held: bool) -> NetworkSpec:
    """Return the network with subnets that are free. Raises InUse."""
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
    """Return what conflicts with a network that has its subnets already.

    Of interfaces that are not pypod's, only addresses inside the subnets count, as for routes: the longest prefix wins.
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
    """Return the interface of a network if it exists and is ours, or an empty string."""
    return network.interface if is_ours(context, network, host.aliases.get(network.interface, "")) else ""


def unclaimed(host: Host) -> frozenset[str]:
    """Return the bridges without ports of storages that no longer exist: they are removed when they conflict."""
    if not any(is_of_nobody(alias) for alias in host.aliases.values()):
        return frozenset()
    return frozenset(name for _, name in links.idle_bridges(is_of_nobody))


def around(others: Iterable[NetworkSpec], host: Host, but: frozenset[str] = frozenset()) -> Surroundings:
    """Return what a new network must avoid, on the host and of the ``others`` in its storage.

    Interfaces in ``but`` are ignored.
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
    """Return what is taken on a host, with networks and storages as the holders where they are known."""
    found = []
    for one in host.taken:
        alias = host.aliases.get(one.interface, "")
        by = alias.removeprefix("pypod ").rpartition(" (")[0] if alias.startswith(PREFIX) else ""
        found.append(one.replace(by=by) if by else one)
    return found


def _make(context: Context, network: NetworkSpec, host: Host, *, is_held: bool) -> bool | None:
    """Make a network's bridge, or complete it; return whether it was made, None when the host has changed meanwhile."""
    addresses = network.gateway_addresses()
    if own_bridge(context, network, host):
        if not is_held and _has_other_addresses(network, host):
            links.remove_link(network.interface)  # a process was killed between moving the network and recording it
            return None
        links.add_addresses(network.interface, addresses)
        return False
    mtu, vlan = int(network.option("mtu") or 0), int(network.option("vlan") or 0)
    try:
        links.make_bridge(network.interface, addresses, mtu, alias_of(context, network), vlan)
    except FileExistsError:  # created just now
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
    """Remove forwarding to addresses that are not allocated yet: left from when they were another storage's."""
    from pypod.network import firewall

    with firewall.open_channel() as channel:
        firewall.withdraw_ways(channel, firewall.ranges_of(network))
