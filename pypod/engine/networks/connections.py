"""The networks of a container or pod as its handle tells and changes them."""

from __future__ import annotations

from pypod.errors import NoSuchContainer
from pypod.model.connection import check_alias, parse_address, parse_mac, static_addresses
from pypod.model.namespace import POD
from pypod.model.network import Connection
from pypod.store import networks, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.api.engine import Engine
    from pypod.api.network import Network
    from pypod.model.namespace import Mode
    from pypod.store.records import ContainerRecord


def owner(engine: Engine, record: ContainerRecord, net: Mode | None = None) -> str:
    """Return the id of who has a container's network: itself, its pod's infra, or one that it joined.

    ``net`` spares reading what was asked for.
    """
    if record.kind == records.INFRA:
        return record.id
    mode = net or engine.container_spec(record).net
    if mode == POD and record.pod_id:
        return records.find_pod(engine.database, record.pod_id).infra_id
    if mode.mode != "container":
        return record.id
    try:
        return owner(engine, records.find_container(engine.database, mode.target))
    except NoSuchContainer:
        return record.id


def networks_of(engine: Engine, record: ContainerRecord) -> tuple[Network, ...]:
    """Return the networks that a container is to be connected to, in their order."""
    from pypod.api.network import Network

    names = networks.names(engine.database)
    asked = networks.connections_of(engine.database, owner(engine, record))
    return tuple(Network(engine, one.network, names[one.network]) for one, _ in asked if one.network in names)


def addresses_of(engine: Engine, record: ContainerRecord) -> dict[str, tuple[str, ...]]:
    """Return a running container's addresses by the name of the network, IPv4 first; empty when it does not run."""
    names = networks.names(engine.database)
    made = networks.connections_of(engine.database, owner(engine, record))
    return {
        names[one.network]: tuple(address.partition("/")[0] for address in one.addresses)
        for _, one in made
        if one is not None and one.network in names
    }


def connect(
    engine: Engine,
    record: ContainerRecord,
    network: Network | str,
    *,
    ip: str,
    ip6: str,
    mac_address: str,
    aliases: Sequence[str],
) -> None:
    """Connect a container, or a pod by its infra; see ``Container.connect``."""
    from pypod.engine.networks import live_connections

    spec = engine.networks.find(network if isinstance(network, str) else network.id)
    given = [parse_address(text, flag) for flag, text in (("--ip", ip), ("--ip6", ip6)) if text]
    asked = Connection(
        network=spec.id,
        addresses=static_addresses(given, "--ip"),
        mac=parse_mac(mac_address) if mac_address else "",
        aliases=tuple(check_alias(one, "--alias") for one in aliases),
    )
    live_connections.connect(engine, record, asked, spec)


def disconnect(engine: Engine, record: ContainerRecord, network: Network | str) -> None:
    """Take a container, or a pod by its infra, off a network; see ``Container.disconnect``."""
    from pypod.engine.networks import live_connections

    spec = engine.networks.find(network if isinstance(network, str) else network.id)
    live_connections.disconnect(engine, record, spec)
