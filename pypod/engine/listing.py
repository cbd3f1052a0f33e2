"""Everything there is, with its state: one pass over the store and the kernel."""

from __future__ import annotations

from pypod.engine import observe
from pypod.kernel import pidfd
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.engine import Engine
    from pypod.model.container import ContainerState
    from pypod.store.records import ContainerRecord, PodRecord


def listed_containers(engine: Engine, *, pod_id: str | None = None) -> list[tuple[ContainerRecord, ContainerState]]:
    """Return every container with its state, infras among them, without those that are gone but for their record."""
    found = []
    stale = unsure = False
    for record in records.all_containers(engine.database, pod_id=pod_id):
        state = observe.container_state(engine.layout.container(record.id), engine.boot_id)
        if owner_is_gone(engine, record.owner) or (record.remove and state.status == "exited"):
            stale = True
            continue
        found.append((record, state))
        unsure = unsure or state.status == "created"
    if stale:
        from pypod.engine.collect import collect

        collect(engine)
    if unsure:  # removed since the store was asked looks the same as never started
        known = {record.id for record in records.all_containers(engine.database, pod_id=pod_id)}
        found = [(record, state) for record, state in found if record.id in known]
    return found


def listed_pods(engine: Engine) -> list[PodRecord]:
    """Return every pod but the ephemeral ones whose owner is gone."""
    pods = records.all_pods(engine.database)
    alive = [record for record in pods if not owner_is_gone(engine, record.owner)]
    if len(alive) < len(pods):
        from pypod.engine.collect import collect

        collect(engine)
    return alive


def owner_is_gone(engine: Engine, text: str) -> bool:
    """Return whether an object was ephemeral and its owner has ended."""
    owner = records.parse_owner(text)
    if owner is None:
        return False
    return owner.boot_id != engine.boot_id or not pidfd.is_alive(owner.pid, owner.start_time, proc=engine.proc)
