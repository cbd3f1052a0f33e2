"""List containers and pods with their states, in one pass over the store and the kernel."""

from __future__ import annotations

from pypod.engine.core import observe
from pypod.engine.core.boundary import Boundary
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerState
    from pypod.store.records import ContainerRecord, PodRecord


def listed_containers(context: Context, *, pod_id: str | None = None) -> list[tuple[ContainerRecord, ContainerState]]:
    """Return every container and infra with its state, except those that are to be collected."""
    found = []
    stale = unsure = False
    with Boundary("list containers"):
        for record in records.all_containers(context.database, pod_id=pod_id):
            state = observe.state_of(context, record.id)
            if observe.owner_is_gone(context, record.owner) or (record.remove and state.status == "exited"):
                stale = True
                continue
            found.append((record, state))
            unsure = unsure or state.status == "created"
    if stale:
        from pypod.engine.containers.collect import collect

        collect(context)
    if unseen := [record for record, state in found if state.status == "exited" and not state.exit_code_known]:
        _disconnect(context, unseen, [record for record, state in found if state.alive])
    if unsure:  # a container removed since the query looks the same as one that was never started
        known = {record.id for record in records.all_containers(context.database, pod_id=pod_id)}
        found = [(record, state) for record, state in found if record.id in known]
    return found


def _disconnect(context: Context, unseen: list[ContainerRecord], running: list[ContainerRecord]) -> None:
    """Detach containers whose end went unobserved from their networks: their forwarded ports would lead nowhere.

    A network namespace with processes left in it (members of a pod that is now Broken) stays reachable as before.
    """
    from pypod.store import networks

    attached = networks.attached(context.database)
    left = [record.id for record in unseen if record.id in attached and not _has_company(context, record, running)]
    if left:
        from pypod.engine.containers.collect import disconnect

        disconnect(context, left)


def _has_company(context: Context, record: ContainerRecord, running: list[ContainerRecord]) -> bool:
    """Return whether members of its pod, or containers that joined it, may still use an ended container's network."""
    pod_id = record.pod_id if record.kind == records.INFRA else ""
    if pod_id and any(one.pod_id == pod_id for one in running):
        return True
    from pypod.store import dependencies

    joining = {one.id for one in dependencies.joining(context.database, record.id)}
    return any(one.id in joining for one in running)


def listed_pods(context: Context) -> list[PodRecord]:
    """Return every pod except ephemeral ones whose owner is gone."""
    pods = records.all_pods(context.database)
    alive = [record for record in pods if not observe.owner_is_gone(context, record.owner)]
    if len(alive) < len(pods):
        from pypod.engine.containers.collect import collect

        collect(context)
    return alive
