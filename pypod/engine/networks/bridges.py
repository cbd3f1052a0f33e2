"""What networks need of the host before anybody is connected: bridges, settings, the firewall, a name server."""

from __future__ import annotations

from pypod.engine.core.effects import Effect
from pypod.engine.networks import bridge_alias, claims, user_bridges
from pypod.errors import Unsupported
from pypod.model.network import BRIDGE
from pypod.network import links

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.api.engine import Engine
    from pypod.model.network import NetworkSpec


def preparations(engine: Engine, specs: Iterable[NetworkSpec], *, again: bool = False) -> list[Effect]:
    """Return what has to be made for networks: nothing when all of it is there, or everything ``again``.

    A bridge is set up last: one that is up has all that it needs, whoever was killed while making it. That the host
    forwards is everybody's setting, and looked at each time. The addresses of who is about to be connected are in the
    store by now: a name server stays while there are any.
    """
    if user_bridges.are_elsewhere(engine):
        return user_bridges.preparations(engine, specs)
    made: list[Effect] = []
    bridges = [one for one in specs if one.driver == BRIDGE]
    if bridges:
        from pypod.network import forwarding

        made += _firewall(engine)
    for network in bridges:
        if again or not links.index_of(network.interface):  # it is there by now, unless this is only to be told
            made.append(_bridge(engine, network))
        if again or not links.is_up(network.interface):
            made += [_settings(network), _admission(network), _start(network)]
        elif not forwarding.is_on(network):
            made.append(_settings(network))
        if network.dns:
            from pypod.engine.networks import name_service

            made += name_service.preparations(engine, network)
    return made


def _bridge(engine: Engine, network: NetworkSpec) -> Effect:
    vlan = int(network.option("vlan") or 0)
    tagged = f" in VLAN {vlan}" if vlan else ""
    return Effect(
        f"make bridge {network.interface} with {', '.join(network.gateway_addresses()) or 'no address'}{tagged}",
        "rtnetlink(7)",
        lambda: claims.claim(engine, network, again=True),
    )


def _start(network: NetworkSpec) -> Effect:
    return Effect(f"set bridge {network.interface} up", "rtnetlink(7)", lambda: links.set_up(network.interface))


def is_ours(engine: Engine, network: NetworkSpec) -> bool:
    """Return whether a network's bridge is there and ours: somebody else's may have the same name. Raises OSError."""
    alias, _ = links.alias_and_state(network.interface)
    return network.driver == BRIDGE and bridge_alias.is_ours(engine, network, alias)


def remove(engine: Engine, network: NetworkSpec) -> None:
    """Take a network's bridge away if it is there and ours; somebody else's may have the same name. Raises OSError."""
    if user_bridges.are_elsewhere(engine):
        user_bridges.remove(engine, network)
        return
    if network.driver != BRIDGE:
        return
    with claims.Turn() as turn, turn:
        if is_ours(engine, network) or not links.index_of(network.interface):
            remove_bridge(network.interface)


def remove_bridge(name: str) -> None:
    """Take a bridge away, and what the firewall knows of it: that is there when somebody took the bridge, too."""
    from pypod.network import firewall

    try:
        with firewall.open_channel() as channel:
            if links.index_of(name):  # else somebody else may have its subnets by now
                firewall.withdraw_ways(channel, firewall.known_ranges(channel, name))
            firewall.forget(channel, name)
    except Unsupported:  # then it knows nothing
        pass
    links.remove_link(name)


def orphans(engine: Engine) -> list[str]:
    """Return the bridges that a crash left of networks, or of storages, that are not there any more."""
    from pypod.store import networks

    known = {one.interface for one in networks.all_networks(engine.database)}
    storage = bridge_alias.storage_of(engine)
    found = {
        name for name, alias in links.aliases().items() if name not in known and bridge_alias.is_of(storage, alias)
    }
    found.update(name for _, name in links.idle_bridges(bridge_alias.is_of_nobody))
    return sorted(found)


def forgotten(engine: Engine) -> list[str]:
    """Return the bridges that the firewall knows, but neither the host nor a network of this engine."""
    from pypod.network import firewall
    from pypod.store import networks

    with firewall.open_channel() as channel:
        found = firewall.known_bridges(channel)
    found.difference_update(one.interface for one in networks.all_networks(engine.database))
    # of another storage's network whose bridge somebody took away: it makes both again
    return sorted(name for name in found if not links.index_of(name))


def _settings(network: NetworkSpec) -> Effect:
    from pypod.network import forwarding

    # those of the bridge itself can be known once it is there
    known = [forwarding.words(*one) for one in forwarding.needed(network)]
    return Effect(
        "; ".join([f"let the host forward for {network.interface}", *known]), "sysctl(2)", lambda: _write(network)
    )


def _write(network: NetworkSpec) -> None:
    from pypod.network import forwarding

    for path, value in forwarding.needed(network):
        forwarding.write(path, value)


def _firewall(engine: Engine) -> list[Effect]:
    """The rules, when they are not there: somebody may have flushed them since, and all networks need them again."""
    from pypod.engine.networks.reloading import load_rules
    from pypod.network import firewall

    if engine.firewall.lend(firewall.table_version) >= firewall.VERSION:
        return []
    return [Effect("load the firewall's table pypod, and what leads to who runs", "nft(8)", lambda: load_rules(engine))]


def _admission(network: NetworkSpec) -> Effect:
    return Effect(f"make network {network.name} known to the firewall", "netlink(7)", lambda: _admit(network))


def _admit(network: NetworkSpec) -> None:
    from pypod.network import firewall

    with firewall.open_channel() as channel:
        channel.send(firewall.admit(network))
