"""Everything there is, with its state: one pass over the store and the kernel."""

from __future__ import annotations

from pypod.engine.core import observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.owners import owner_is_gone
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerState
    from pypod.store.records import ContainerRecord, PodRecord


def listed_containers(context: Context, *, pod_id: str | None = None) -> list[tuple[ContainerRecord, ContainerState]]:
    """Return every container with its state, infras among them, without those that are gone but for their record."""
    found = []
    stale = unsure = False
    with Boundary("list containers"):
        for record in records.all_containers(context.database, pod_id=pod_id):
            state = observe.state_of(context, record.id)
            if owner_is_gone(context, record.owner) or (record.remove and state.status == "exited"):
                stale = True
                continue
            found.append((record, state))
            unsure = unsure or state.status == "created"
    if stale:
        from pypod.engine.containers.collect import collect

        collect(context)
    if unseen := [record for record, state in found if state.status == "exited" and not state.exit_code_known]:
        _disconnect(context, unseen, [record for record, state in found if state.running])
    if unsure:  # removed since the store was asked looks the same as never started
        known = {record.id for record in records.all_containers(context.database, pod_id=pod_id)}
        found = [(record, state) for record, state in found if record.id in known]
    return found


def _disconnect(context: Context, unseen: list[ContainerRecord], running: list[ContainerRecord]) -> None:
    """Let go of the networks of those whose end nobody saw: ports would lead to nobody, and be held by nobody.

    Where somebody lives on in such a network (members of a pod that is Broken now) they are reached as before.
    """
    from pypod.store import networks

    attached = networks.attached(context.database)
    left = [record.id for record in unseen if record.id in attached and not _has_company(context, record, running)]
    if left:
        from pypod.engine.containers.collect import disconnect

        disconnect(context, left)


def _has_company(context: Context, record: ContainerRecord, running: list[ContainerRecord]) -> bool:
    """Return whether somebody may live in the network of a container that has ended: of its pod, or who joined it."""
    pod_id = record.pod_id if record.kind == records.INFRA else ""
    if pod_id and any(one.pod_id == pod_id for one in running):
        return True
    from pypod.store import dependencies

    joining = {one.id for one in dependencies.joining(context.database, record.id)}
    return any(one.id in joining for one in running)


def listed_pods(context: Context) -> list[PodRecord]:
    """Return every pod but the ephemeral ones whose owner is gone."""
    pods = records.all_pods(context.database)
    alive = [record for record in pods if not owner_is_gone(context, record.owner)]
    if len(alive) < len(pods):
        from pypod.engine.containers.collect import collect

        collect(context)
    return alive
