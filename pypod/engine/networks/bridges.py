"""What networks need on the host before a container is attached: bridges, settings, the firewall, a name server."""

from __future__ import annotations

from pypod.engine.core import effects
from pypod.engine.core.effects import Effect
from pypod.engine.networks import bridge_alias, claims, user_bridges
from pypod.engine.networks.bridge_removal import Turn, remove_bridge
from pypod.engine.networks.names import service
from pypod.engine.networks.rules import load_rules
from pypod.model.network import BRIDGE
from pypod.network import firewall, forwarding, links
from pypod.store import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.engine.core.context import Context
    from pypod.model.network import NetworkSpec


def preparations(context: Context, specs: Iterable[NetworkSpec], *, again: bool = False) -> list[Effect]:
    """Return what has to be made for networks: nothing when all of it exists, everything with ``again``.

    A bridge is set up last, so one that is up is complete, even if a process was killed while making it. IP forwarding
    is a setting of the whole host, and checked each time. The addresses of the container being attached are in the
    store by now: a name server keeps running while there are any.
    """
    if user_bridges.are_elsewhere(context):
        return user_bridges.preparations(context, specs, prepare)
    made: list[Effect] = []
    bridges = [one for one in specs if one.driver == BRIDGE]
    if bridges:
        made += _firewall(context)
    for network in bridges:
        if again or not links.index_of(network.interface):  # missing only when the caller explains without acting
            made.append(_bridge(context, network))
        if again or not links.is_up(network.interface):
            made += [_settings(network), _admission(network), _start(network)]
        elif not forwarding.is_on(network):
            made.append(_settings(network))
        if network.dns:
            made += service.preparations(context, network)
    return made


def prepare(context: Context, identifiers: list[str]) -> dict[str, int]:
    """Make what networks need, given their ids; return the indices of their bridges."""
    effects.perform(preparations(context, [networks.find(context.database, one) for one in identifiers]))
    return user_bridges.made(context)


def _bridge(context: Context, network: NetworkSpec) -> Effect:
    vlan = int(network.option("vlan") or 0)
    tagged = f" in VLAN {vlan}" if vlan else ""
    return Effect(
        f"make bridge {network.interface} with {', '.join(network.gateway_addresses()) or 'no address'}{tagged}",
        "rtnetlink(7)",
        lambda: claims.claim(context, network, again=True),
    )


def _start(network: NetworkSpec) -> Effect:
    return Effect(f"set bridge {network.interface} up", "rtnetlink(7)", lambda: links.set_up(network.interface))


def remove(context: Context, network: NetworkSpec) -> None:
    """Remove a network's bridge if it exists and is ours rather than one of the same name. Raises OSError."""
    if user_bridges.are_elsewhere(context):
        user_bridges.remove(context, network, remove)
        return
    if network.driver != BRIDGE:
        return
    with Turn() as turn, turn:
        if bridge_alias.has_bridge(context, network) or not links.index_of(network.interface):
            remove_bridge(network.interface)


def orphans(context: Context) -> list[str]:
    """Return the bridges that a crash left behind, of networks or storages that no longer exist."""
    known = {one.interface for one in networks.all_networks(context.database)}
    storage = bridge_alias.storage_of(context)
    found = {
        name for name, alias in links.aliases().items() if name not in known and bridge_alias.is_of(storage, alias)
    }
    found.update(name for _, name in links.idle_bridges(bridge_alias.is_of_nobody))
    return sorted(found)


def forgotten(context: Context) -> list[str]:
    """Return the bridges known to the firewall, but neither to the host nor to a network of this engine."""
    with firewall.open_channel() as channel:
        found = firewall.known_bridges(channel)
    found.difference_update(one.interface for one in networks.all_networks(context.database))
    # another storage's network whose bridge was deleted from outside: that storage restores both
    return sorted(name for name in found if not links.index_of(name))


def _settings(network: NetworkSpec) -> Effect:
    # the bridge's own settings can only be read once it exists
    known = [forwarding.words(*one) for one in forwarding.needed(network)]
    return Effect(
        "; ".join([f"let the host forward for {network.interface}", *known]), "sysctl(2)", lambda: _write(network)
    )


def _write(network: NetworkSpec) -> None:
    for path, value in forwarding.needed(network):
        forwarding.write(path, value)


def _firewall(context: Context) -> list[Effect]:
    """The rules, when they are missing: another program may have flushed them, and all networks need them back."""
    if context.firewall.lend(firewall.table_version) >= firewall.VERSION:
        return []
    return [Effect("load the firewall's table pypod and all published ports", "nft(8)", lambda: load_rules(context))]


def _admission(network: NetworkSpec) -> Effect:
    return Effect(f"make network {network.name} known to the firewall", "netlink(7)", lambda: _admit(network))


def _admit(network: NetworkSpec) -> None:
    with firewall.open_channel() as channel:
        channel.send(firewall.admit(network))
