"""The owner of a network namespace, and its networks and addresses."""

from __future__ import annotations

from pypod.errors import NoSuchContainer
from pypod.model.namespace import POD
from pypod.store import networks, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.model.namespace import Mode
    from pypod.store.records import ContainerRecord


def owner(context: Context, record: ContainerRecord, net: Mode | None = None) -> str:
    """Return the id of the owner of a container's network: itself, its pod's infra, or a container it joined.

    ``net`` saves reading the specification.
    """
    if record.kind == records.INFRA:
        return record.id
    mode = net or context.container_spec(record).net
    if mode == POD and record.pod_id:
        return records.find_pod(context.database, record.pod_id).infra_id
    if mode.mode != "container":
        return record.id
    try:
        return owner(context, records.find_container(context.database, mode.target))
    except NoSuchContainer:
        return record.id


def networks_of(context: Context, record: ContainerRecord) -> list[tuple[str, str]]:
    """Return ids and names of the networks that a container connects to, in order."""
    names = networks.names(context.database)
    asked = networks.connections_of(context.database, owner(context, record))
    return [(one.network, names[one.network]) for one, _ in asked if one.network in names]


def addresses_of(context: Context, record: ContainerRecord) -> dict[str, tuple[str, ...]]:
    """Return a running container's addresses by network name, IPv4 first; empty when it is not running."""
    names = networks.names(context.database)
    made = networks.connections_of(context.database, owner(context, record))
    return {
        names[one.network]: tuple(address.partition("/")[0] for address in one.addresses)
        for _, one in made
        if one is not None and one.network in names
    }


def lock_of(context: Context, record: ContainerRecord) -> str:
    """Return the directory whose lock is held while a container starts: for an infra, its pod's."""
    if record.kind == records.INFRA:
        return context.layout.pod(record.pod_id)
    return context.layout.container(record.id)
