"""Find and mend what crashes, and others on this host, did to networks."""

from __future__ import annotations

from pypod.engine.core.boundary import Boundary
from pypod.engine.networks import attachments, bridges, claims, name_service, reloading, user_bridges
from pypod.model.network import BRIDGE
from pypod.network import firewall, forwarding
from pypod.store import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.api.engine import Engine
    from pypod.engine.networks.reloading import Connected
    from pypod.model.network import NetworkSpec


def amiss(engine: Engine) -> list[str]:
    """Return in words what ``repair`` would mend, but for addresses of who has ended: they are in nobody's way."""
    known = networks.all_networks(engine.database)
    if user_bridges.are_elsewhere(engine):
        from pypod.engine.networks import sidecars

        return [*sidecars.amiss(engine), *(user_bridges.amiss(engine) if known else [])]
    with Boundary("look at networks"):
        found = [f"bridge {name} of no network" for name in bridges.orphans(engine)]
        if not known:
            return found
        connected = reloading.running(engine)
        found += [f"bridge {name} in the firewall only" for name in bridges.forgotten(engine)]
        found += [] if _has_rules(connected) else ["rules of the firewall are missing"]
        found += [f"{name} is not {value}" for name, value in _other_settings(connected)]
        found += [
            f"{one.record.name} is cut off from network {wire.network.name}"
            for one in connected
            for wire in reloading.severed(one)
        ]
        return [*found, *(f"nobody answers the names of network {one.name}" for one in name_service.unserved(engine))]


def repair(engine: Engine) -> list[str]:
    """Mend it; return what was done, in words."""
    known = networks.all_networks(engine.database)
    if user_bridges.are_elsewhere(engine):
        from pypod.engine.networks import sidecars

        return [*sidecars.repair(engine), *(user_bridges.repair(engine) if known else [])]
    with Boundary("repair networks"):
        done = [f"took back the addresses of container {one[:12]}" for one in attachments.sweep(engine, known)]
        done += _withdraw_leftovers(engine, known)
        done += _remove_orphans(engine)
        if not known:
            return done
        for name in bridges.forgotten(engine):
            bridges.remove_bridge(name)
            done.append(f"removed bridge {name} from the firewall")
        return [*done, *_reconnect(engine)]


def _remove_orphans(engine: Engine) -> list[str]:
    with claims.Turn() as turn, turn:
        found = bridges.orphans(engine)
        for name in found:
            bridges.remove_bridge(name)
    return [f"removed bridge {name}" for name in found]


def _reconnect(engine: Engine) -> list[str]:
    connected = reloading.running(engine)
    lost = [(one, wire) for one in connected for wire in reloading.severed(one)]
    unserved = name_service.unserved(engine)
    has_rules, settings = _has_rules(connected), _other_settings(connected)
    for path, value in settings:
        forwarding.write(path, value)
    if lost or not has_rules:
        reloading.reload(engine, [one.record.id for one, _ in lost])
    name_service.renew(engine)
    done = [] if has_rules else ["loaded the rules of the firewall"]
    done += [forwarding.words(*one) for one in settings]
    done += [f"connected {one.record.name} to network {wire.network.name} again" for one, wire in lost]
    return [*done, *(f"started the name server of network {one.name}" for one in unserved)]


def _bridged(connected: Iterable[Connected]) -> list[NetworkSpec]:
    """Return the networks with bridges of those who run."""
    found = {wire.network.id: wire.network for one in connected for wire in one.wires if wire.network.driver == BRIDGE}
    return list(found.values())


def _has_rules(connected: Iterable[Connected]) -> bool:
    """Return whether the firewall has its rules and knows the bridges of those who run."""
    wanted = _bridged(connected)
    if not wanted:
        return True
    with firewall.open_channel() as channel:
        is_there = firewall.table_version(channel) >= firewall.VERSION
        return is_there and all(firewall.knows(channel, one) for one in wanted)


def _other_settings(connected: Iterable[Connected]) -> list[tuple[str, str]]:
    """Return the host's settings that somebody has changed since a bridge was made, and what they have to be."""
    return list(dict.fromkeys(one for network in _bridged(connected) for one in forwarding.needed(network)))


def _withdraw_leftovers(engine: Engine, known: Iterable[NetworkSpec]) -> list[str]:
    """Take away what leads to addresses of our networks that nobody has; other engines share the firewall's table."""
    from pypod.model.network import address_number
    from pypod.model.port import Port

    ours = [one for one in known if bridges.is_ours(engine, one)]
    if not ours:
        return []
    done = []
    with firewall.open_channel() as channel:
        for protocol, host_ip, host_port, address, container_port in firewall.listed(channel):
            network = next((one for one in ours if one.holds(address)), None)
            if network is None or networks.is_given(engine.database, network.id, address_number(address)):
                continue
            port = Port(container_port=container_port, host_port=host_port, host_ip=host_ip, protocol=protocol)
            ends = ("", address) if ":" in address else (address, "")
            firewall.withdraw_own(channel, [port], *ends)
            done.append(f"withdrew port {port} at {address}")
    return done
