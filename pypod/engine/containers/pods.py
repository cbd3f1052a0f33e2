"""The state and the removal of pods."""

from __future__ import annotations

from pypod.engine.core import announce, kept_records, observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import Lock
from pypod.engine.lifecycle import infra, stopping
from pypod.engine.networks import detaching
from pypod.engine.resources import groups
from pypod.errors import StoreError
from pypod.kernel.cgroups.driver import container_path
from pypod.model.pod import PodState, pod_status
from pypod.store import dependencies, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.engine.core.context import Context
    from pypod.store.records import ContainerRecord, PodRecord


def members(context: Context, pod: PodRecord) -> Sequence[ContainerRecord]:
    """Return the members of a pod, oldest first, without its infra."""
    everyone = records.all_containers(context.database, pod_id=pod.id)
    return [one for one in everyone if one.kind == records.CONTAINER]


def infra_of(context: Context, pod: PodRecord) -> ContainerRecord | None:
    """Return the infra of a pod, None if it has none."""
    return records.find_container(context.database, pod.infra_id) if pod.infra_id else None


def state_of(context: Context, pod: PodRecord) -> PodState:
    """Return the current state of a pod and its members."""
    infra_state = observe.state_of(context, pod.infra_id) if pod.infra_id else None
    everyone = members(context, pod)
    found = tuple((one.id, observe.state_of(context, one.id)) for one in everyone)
    counted = [state for one, (_, state) in zip(everyone, found, strict=True) if one.counts_in_pod]
    return PodState(status=pod_status(infra_state, counted), infra=infra_state, members=found)


def remove(context: Context, record: PodRecord, timeout_s: float | None = None) -> None:
    """Stop a pod and its members, and remove them all.

    A member gets ``timeout_s`` seconds to stop, by default its own stop timeout.
    """
    with Boundary(f"remove pod {record.name}"):
        stopping.end_all(context, members(context, record), timeout_s)
        with Lock(context.layout.pod(record.id), without_space=True) as lock, lock:
            _remove_locked(context, record, timeout_s)


def _remove_locked(context: Context, record: PodRecord, timeout_s: float | None) -> None:
    # a container that joined meanwhile is a member now; none can join while we hold the lock, nor without the row
    everyone = records.all_containers(context.database, pod_id=record.id)
    stopping.end_all(context, [one for one in everyone if one.kind == records.CONTAINER], timeout_s)
    if record.infra_id:
        infra.stop(context, record)
    # the pod's own, its like below each cgroup parent that a member was given, and those of members outside of these
    for group in {_group(context, record), *(groups.pod_group(one) or one.cgroup for one in everyone)}:
        groups.clear(context, group)
    for one in everyone:
        detaching.detach(context, one.id)
        stopping.release_volumes(context, one)
    directories = [*(context.layout.container(one.id) for one in everyone), context.layout.pod(record.id)]
    using = [one.id for one in everyone if record.may_use_volumes or one.may_use_volumes]
    own = dependencies.volumes_only_of(context.database, using)
    secrets = dependencies.secrets_of(context.database, [one.id for one in everyone if one.may_use_secrets])
    kept_records.forget(context, [one.id for one in everyone])
    stopping.forget(context, lambda: records.remove_pod(context.database, record, own), directories, own)
    stopping.delete_unneeded(context, secrets)
    announce.pod(context, announce.REMOVE, record, everyone)


def _group(context: Context, record: PodRecord) -> str:
    """Return the path of the pod's own cgroup, which outlives its members."""
    try:
        parent = context.pod_spec(record).cgroup_parent
    except StoreError:  # damaged: the default is the best guess
        parent = ""
    return container_path(parent, record.id, "")
