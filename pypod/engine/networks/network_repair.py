"""Detect and repair damage to networks, from crashes and from other programs on this host."""

from __future__ import annotations

from pypod.engine.core.boundary import Boundary
from pypod.engine.networks import bridge_alias, bridges, detaching, reloading, sidecars, user_bridges
from pypod.engine.networks.bridge_removal import Turn, remove_bridge
from pypod.engine.networks.names import service
from pypod.engine.networks.running import running
from pypod.model.network import BRIDGE
from pypod.network import firewall, forwarding
from pypod.store import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.engine.core.context import Context
    from pypod.engine.networks.running import Connected
    from pypod.model.network import NetworkSpec


def amiss(context: Context) -> list[str]:
    """Describe what ``repair`` would do, except for releasing addresses of ended containers, which harms nothing."""
    known = networks.all_networks(context.database)
    if user_bridges.are_elsewhere(context):
        return [*sidecars.amiss(context), *(_amiss_elsewhere(context) if known else [])]
    with Boundary("check networks"):
        found = [f"bridge {name} without a network" for name in bridges.orphans(context)]
        if not known:
            return found
        connected = running(context)
        found += [f"bridge {name} in the firewall only" for name in bridges.forgotten(context)]
        found += [] if _has_rules(connected) else ["firewall rules are missing"]
        found += [f"{name} is not {value}" for name, value in _other_settings(connected)]
        found += [
            f"{one.record.name} is detached from network {attachment.network.name}"
            for one in connected
            for attachment in reloading.severed(one)
        ]
        return [*found, *(f"no name server on network {one.name}" for one in service.unserved(context))]


def repair(context: Context) -> list[str]:
    """Repair the damage; return descriptions of what was done."""
    known = networks.all_networks(context.database)
    if user_bridges.are_elsewhere(context):
        return [*sidecars.repair(context), *(_repair_elsewhere(context) if known else [])]
    with Boundary("repair networks"):
        done = [f"released the addresses of container {one[:12]}" for one in detaching.sweep(context, known)]
        done += _withdraw_leftovers(context, known)
        done += _remove_orphans(context)
        if not known:
            return done
        for name in bridges.forgotten(context):
            remove_bridge(name)
            done.append(f"removed bridge {name} from the firewall")
        return [*done, *_reconnect(context)]


def _amiss_elsewhere(context: Context) -> list[str]:
    """Return the same for the namespace of the user's bridges."""
    if user_bridges.holder(context) is not None:
        return user_bridges.call(context, amiss)
    return [f"{one.record.name} is detached from its networks" for one in running(context)]


def _repair_elsewhere(context: Context) -> list[str]:
    done, made = user_bridges.call(context, _repair_here)
    user_bridges.remember(context, made)
    user_bridges.end_unless_needed(context)
    return done


def _repair_here(context: Context) -> tuple[list[str], dict[str, int]]:
    return repair(context), user_bridges.made(context)


def _remove_orphans(context: Context) -> list[str]:
    with Turn() as turn, turn:
        found = bridges.orphans(context)
        for name in found:
            remove_bridge(name)
    return [f"removed bridge {name}" for name in found]


def _reconnect(context: Context) -> list[str]:
    connected = running(context)
    lost = [(one, attachment) for one in connected for attachment in reloading.severed(one)]
    unserved = service.unserved(context)
    has_rules, settings = _has_rules(connected), _other_settings(connected)
    for path, value in settings:
        forwarding.write(path, value)
    if lost or not has_rules:
        reloading.reload(context, [one.record.id for one, _ in lost])
    service.renew(context)
    done = [] if has_rules else ["loaded the firewall rules"]
    done += [forwarding.words(*one) for one in settings]
    done += [f"connected {one.record.name} to network {attachment.network.name} again" for one, attachment in lost]
    return [*done, *(f"started the name server of network {one.name}" for one in unserved)]


def _bridged(connected: Iterable[Connected]) -> list[NetworkSpec]:
    """Return the bridge networks of running containers."""
    found = {
        attachment.network.id: attachment.network
        for one in connected
        for attachment in one.attached
        if attachment.network.driver == BRIDGE
    }
    return list(found.values())


def _has_rules(connected: Iterable[Connected]) -> bool:
    """Return whether the firewall has its rules and knows the bridges of running containers."""
    wanted = _bridged(connected)
    if not wanted:
        return True
    with firewall.open_channel() as channel:
        is_there = firewall.table_version(channel) >= firewall.VERSION
        return is_there and all(firewall.knows(channel, one) for one in wanted)


def _other_settings(connected: Iterable[Connected]) -> list[tuple[str, str]]:
    """Return the host's settings that were changed since a bridge was made, and the values they must have."""
    return list(dict.fromkeys(one for network in _bridged(connected) for one in forwarding.needed(network)))


def _withdraw_leftovers(context: Context, known: Iterable[NetworkSpec]) -> list[str]:
    """Remove forwarding to unallocated addresses of our networks; other engines share the firewall's table."""
    from pypod.model.network import address_number
    from pypod.model.port import Port

    ours = [one for one in known if bridge_alias.has_bridge(context, one)]
    if not ours:
        return []
    done = []
    with firewall.open_channel() as channel:
        for protocol, host_ip, host_port, address, container_port in firewall.listed(channel):
            network = next((one for one in ours if one.holds(address)), None)
            if network is None or networks.is_given(context.database, network.id, address_number(address)):
                continue
            port = Port(container_port=container_port, host_port=host_port, host_ip=host_ip, protocol=protocol)
            ends = ("", address) if ":" in address else (address, "")
            firewall.withdraw_own(channel, [port], *ends)
            done.append(f"removed the forwarding of port {port} to {address}")
    return done
