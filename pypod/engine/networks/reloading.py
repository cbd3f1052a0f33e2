"""Make what the host has for networks again, for whoever runs: after a flush of the firewall, after a deletion."""

from __future__ import annotations

from contextlib import suppress

from pypod.engine.containers.enter import enter
from pypod.engine.core import effects, observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import Lock
from pypod.engine.networks import attachments, bridges, claims, published, user_bridges
from pypod.engine.networks.attachments import Wire
from pypod.engine.networks.live_connections import plug, set_up_inside
from pypod.errors import NoSuchContainer, WrongState
from pypod.kernel.netlink import Channel
from pypod.model.network import BRIDGE
from pypod.network import firewall, links
from pypod.network.host import has_addresses
from pypod.store import networks, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pypod.api.engine import Engine
    from pypod.model.container import ContainerState
    from pypod.model.network import NetworkSpec
    from pypod.store.records import ContainerRecord


class Connected:
    """A container that runs, or a pod's infra, with its connections."""

    def __init__(self, record: ContainerRecord, state: ContainerState, wires: tuple[Wire, ...]) -> None:
        self.record = record
        self.state = state
        self.wires = wires


def running(engine: Engine) -> list[Connected]:
    """Return who runs and is connected to a network."""
    by_id = {one.id: one for one in networks.all_networks(engine.database)}
    found = (_connected(engine, record, by_id) for record in records.all_containers(engine.database))
    return [one for one in found if one is not None]


def _connected(engine: Engine, record: ContainerRecord, by_id: Mapping[str, NetworkSpec]) -> Connected | None:
    made = [made for _, made in networks.connections_of(engine.database, record.id) if made]
    state = observe.container_state(engine.layout.container(record.id), engine.boot_id) if made else None
    if state is None or not state.running:
        return None
    return Connected(record, state, tuple(Wire(network=by_id[one.network], made=one) for one in made))


def reload(engine: Engine, container_ids: Iterable[str] | None = None) -> list[str]:
    """Make bridges, veths, rules, published ports, name servers and users' programs again where they are missing.

    For those of ``container_ids`` that run, or for everybody. Returns their ids. What is there stays as it is:
    connections through it go on. Raises Unsupported without nft, and what a start raises.
    """
    from pypod.engine.networks import name_service

    chosen = None if container_ids is None else set(container_ids)
    if user_bridges.are_elsewhere(engine):
        from pypod.engine.networks import sidecars

        with_program = sidecars.reload(engine, chosen)
        connected = user_bridges.reload(engine, chosen) if networks.any_attached(engine.database) else []
        return list(dict.fromkeys((*with_program, *connected)))
    with Boundary("reload networks"):
        found = [one for one in running(engine) if chosen is None or one.record.id in chosen]
        needed = {wire.network.id: wire.network for one in found for wire in one.wires}
        with claims.connecting(engine) as lock, lock:
            needed = {identifier: claims.claim(engine, one, again=True) for identifier, one in needed.items()}
            effects.perform(bridges.preparations(engine, needed.values(), again=True))
            for one in found:
                _reconnect(engine, one.record, needed)
        load_rules(engine)
        name_service.renew(engine)
    return [one.record.id for one in found]


def _reconnect(engine: Engine, record: ContainerRecord, by_id: Mapping[str, NetworkSpec]) -> None:
    with suppress(NoSuchContainer), Lock(attachments.lock_of(engine, record)) as lock, lock:
        one = _connected(engine, records.find_container(engine.database, record.id), by_id)
        for wire in severed(one) if one is not None else ():
            assert one is not None  # noqa: S101
            if _is_there(wire):
                with Channel() as channel:
                    channel.send(links.enslave(wire.made.host_interface, links.index_of(wire.network.interface)))
                    if published.own_ports(engine, record):
                        channel.send(links.hairpin(wire.made.host_interface))
                set_up_inside(one.record, one.state, wire)
            else:
                plug(engine, one.record, one.state, wire)


def _is_there(wire: Wire) -> bool:
    return bool(wire.made.host_interface and links.index_of(wire.made.host_interface))


def severed(one: Connected) -> list[Wire]:
    """Return the connections of a container that lack something on the host or inside."""
    try:
        return [wire for wire in one.wires if not (_is_on_bridge(wire) and _is_set_up(one, wire))]
    except WrongState:  # it has ended meanwhile
        return []


def _is_on_bridge(wire: Wire) -> bool:
    network = wire.network
    if network.driver != BRIDGE:
        return True
    return (
        links.is_up(network.interface)
        and has_addresses(network.gateway_addresses())
        and wire.made.host_interface in links.ports(links.index_of(network.interface))
    )


def _is_set_up(one: Connected, wire: Wire) -> bool:
    """Return whether an interface inside has its addresses; its name is the container's affair, if it may change it."""
    with enter(one.record.name, one.state, ("net",)):
        return has_addresses(wire.made.addresses) if wire.made.addresses else bool(links.index_of(wire.made.interface))


def load_rules(engine: Engine) -> None:
    """Load the firewall's rules again, and with them all networks whose bridges are there and all published ports."""
    known = [one for one in networks.all_networks(engine.database) if bridges.is_ours(engine, one)]
    ways, led = [], []
    for one in running(engine):
        ports = () if engine.rootless else published.own_ports(engine, one.record)
        if ports and one.wires:
            led.append((ports, one.wires))
            four, six = published.addresses(one.wires)
            ways.append((ports, four, six, one.record.name))
    with firewall.open_channel() as channel:
        firewall.ensure_table(channel, again=True)
        for transaction in firewall.everything(known, ways):
            channel.send(transaction)
    for ports, wires in led:
        published.redirect(engine, ports, wires)
