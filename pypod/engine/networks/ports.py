"""The ports that are published for what exists: read by every listing, so apart from what publishes them."""

from __future__ import annotations

from pypod.engine.core import observe
from pypod.engine.networks.connections import owner
from pypod.errors import NoSuchContainer, NoSuchPod
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.model.port import Port
    from pypod.store.records import ContainerRecord, PodRecord


def own_ports(context: Context, record: ContainerRecord, pod: PodRecord | None = None) -> tuple[Port, ...]:
    """Return the ports published for a container itself; for a pod's infra, the pod's."""
    if record.kind != records.INFRA:
        return context.container_spec(record).ports if record.publishes_ports else ()
    try:
        pod = pod or records.find_pod(context.database, record.pod_id)
    except NoSuchPod:
        return ()
    return context.pod_spec(pod).ports if pod.publishes_ports else ()


def ports_of(context: Context, record: ContainerRecord) -> tuple[Port, ...]:
    """Return the ports forwarded to a container: its own, or those of the pod or container whose network it uses.

    None while that runs without the program that forwards a user's ports.
    """
    having = owner(context, record)
    try:
        ports = own_ports(context, record if having == record.id else records.find_container(context.database, having))
    except NoSuchContainer:
        return ()
    return ports if not (ports and context.rootless) or _are_led(context, having) else ()


def _are_led(context: Context, container_id: str) -> bool:
    from pypod.engine.networks import user_network

    place = context.layout.container(container_id)
    return user_network.is_there(context, place) or observe.running_process(place, context.boot_id) is None
