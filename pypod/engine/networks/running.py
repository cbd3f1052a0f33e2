"""Running containers that are attached to networks."""

from __future__ import annotations

from pypod.engine.core import observe
from pypod.model.network import Endpoint, NetworkSpec
from pypod.model.value import Value
from pypod.store import networks, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerState
    from pypod.store.records import ContainerRecord


class Attachment(Value):
    """One attachment of a start: the network, and what was chosen for the connection."""

    network: NetworkSpec
    made: Endpoint


def networks_of(attached: tuple[Attachment, ...]) -> list[NetworkSpec]:
    """Return the networks of attachments."""
    return [attachment.network for attachment in attached]


def of_container(context: Context, container_id: str) -> tuple[Attachment, ...]:
    """Return the attachments of a running container."""
    made = [made for _, made in networks.connections_of(context.database, container_id) if made]
    return tuple(Attachment(network=networks.find(context.database, one.network), made=one) for one in made)


class Connected:
    """A running container, or a pod's infra, with its attachments."""

    def __init__(self, record: ContainerRecord, state: ContainerState, attached: tuple[Attachment, ...]) -> None:
        self.record = record
        self.state = state
        self.attached = attached


def running(context: Context) -> list[Connected]:
    """Return the running containers that are attached to a network."""
    by_id = {one.id: one for one in networks.all_networks(context.database)}
    found = (connected(context, record, by_id) for record in records.all_containers(context.database))
    return [one for one in found if one is not None]


def connected(context: Context, record: ContainerRecord, by_id: Mapping[str, NetworkSpec]) -> Connected | None:
    made = [made for _, made in networks.connections_of(context.database, record.id) if made]
    state = observe.state_of(context, record.id) if made else None
    if state is None or not state.alive:
        return None
    return Connected(record, state, tuple(Attachment(network=by_id[one.network], made=one) for one in made))
