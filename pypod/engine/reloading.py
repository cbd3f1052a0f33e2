"""Make what the host has for networks again, for whoever runs: after a flush of the firewall, after a deletion."""

from __future__ import annotations

from pypod.engine import bridges, effects, observe, user_bridges
from pypod.engine.boundary import Boundary
from pypod.engine.connecting import Wire
from pypod.engine.live_connections import plug
from pypod.kernel.netlink import Channel
from pypod.model.network import BRIDGE
from pypod.network import firewall, links
from pypod.store import networks, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.engine.engine import Engine
    from pypod.model.container import ContainerState
    from pypod.model.port import Port
    from pypod.store.records import ContainerRecord


class Connected:
    """A container that runs, or a pod's infra, with its connections."""

    def __init__(self, record: ContainerRecord, state: ContainerState, wires: tuple[Wire, ...]) -> None:
        self.record = record
        self.state = state
        self.wires = wires

    def ports(self, engine: Engine) -> tuple[Port, ...]:
        """Return the ports that are published for it."""
        if self.record.kind == records.INFRA:
            return records.pod_spec(records.find_pod(engine.database, self.record.pod_id)).ports
        return engine.container_spec(self.record).ports


def running(engine: Engine) -> list[Connected]:
    """Return who runs and is connected to a network."""
    by_id = {one.id: one for one in networks.all_networks(engine.database)}
    found = []
    for record in records.all_containers(engine.database):
        made = [made for _, made in networks.connections_of(engine.database, record.id) if made]
        state = observe.container_state(engine.layout.container(record.id), engine.boot_id) if made else None
        if state is not None and state.running:
            wires = [Wire(network=by_id[one.network], made=one, position=at) for at, one in enumerate(made)]
            found.append(Connected(record, state, tuple(wires)))
    return found


def reload(engine: Engine, container_ids: Iterable[str] | None = None) -> list[str]:
    """Make bridges, veths, rules, published ports and name servers again where they are missing.

    For those of ``container_ids`` that run, or for everybody. Returns their ids. What is there stays as it is:
    connections through it go on. Raises Unsupported without nft, and what a start raises.
    """
    from pypod.engine import naming

    if user_bridges.are_elsewhere(engine):
        return user_bridges.reload(engine, container_ids)
    chosen = None if container_ids is None else set(container_ids)
    done = []
    with Boundary("reload networks"):
        for one in running(engine):
            if chosen is None or one.record.id in chosen:
                _reconnect(engine, one)
                done.append(one.record.id)
        load_rules(engine)
        naming.renew(engine)
    return done


def _reconnect(engine: Engine, one: Connected) -> None:
    for wire in one.wires:
        effects.perform(bridges.preparations(engine, (wire.network,)))
        if wire.network.driver != BRIDGE:
            continue
        if links.index_of(wire.made.host_interface):
            with Channel() as channel:
                channel.send(links.enslave(wire.made.host_interface, links.index_of(wire.network.interface)))
        else:
            plug(engine, one.record, one.state, wire)


def load_rules(engine: Engine) -> None:
    """Load the firewall's rules again, and with them all networks whose bridges are there and all published ports."""
    known = [one for one in networks.all_networks(engine.database) if links.index_of(one.interface)]
    ways = []
    for one in running(engine):
        ports = one.ports(engine)
        if ports and one.wires:
            four, six = published_addresses(one.wires)
            ways.append((ports, four, six, one.record.name))
    with firewall.open_channel() as channel:
        firewall.ensure_table(channel, again=True)
        for transaction in firewall.everything(known, ways):
            channel.send(transaction)


def published_addresses(wires: Iterable[Wire]) -> tuple[str, str]:
    """Return the addresses that published ports lead to: the first of each family, or empty texts."""
    own = [address for wire in wires if wire.network.driver == BRIDGE for address in wire.made.addresses]
    four = next((one for one in own if ":" not in one), "")
    return four, next((one for one in own if ":" in one), "")
