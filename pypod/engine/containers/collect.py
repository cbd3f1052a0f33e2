"""Clean up after owners that are gone, --rm containers that ended unattended, and crashes."""

from __future__ import annotations

import os

from pypod.engine.containers import pods, recovery
from pypod.engine.core import announce, lost_records, observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.layout import Layout
from pypod.engine.core.locks import Lock
from pypod.engine.lifecycle import infra, stopping
from pypod.engine.lifecycle.plan import REMOVE, STOP_POD
from pypod.engine.storage import mount_points, trash
from pypod.errors import PypodError
from pypod.model.ids import is_id
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pypod.engine.core.context import Context


def collect(context: Context) -> None:
    """Remove ephemeral objects whose owner is gone, and --rm containers that have ended."""
    for pod in records.all_pods(context.database):
        if observe.owner_is_gone(context, pod.owner):
            _quietly(_remove_pod, context, pod.id)
    for record in records.all_containers(context.database):
        if record.kind == records.INFRA:
            continue
        gone = observe.owner_is_gone(context, record.owner)
        if gone or (record.remove and _has_ended(context, record.id)):
            _quietly(stopping.remove, context, record, force=gone, timeout_s=0)


def disconnect(context: Context, container_ids: Iterable[str]) -> None:
    """Detach containers that have ended from their networks: release their addresses and forwarded ports."""
    for one in container_ids:
        _quietly(_disconnect, context, one)


def _disconnect(context: Context, identifier: str) -> None:
    from pypod.engine.networks.detaching import detach_if_ended

    with Boundary("disconnect what has ended"):
        detach_if_ended(context, identifier)


def _remove_pod(context: Context, identifier: str) -> None:
    pods.remove(context, records.find_pod(context.database, identifier), timeout_s=0)


def _has_ended(context: Context, identifier: str) -> bool:
    return observe.state_of(context, identifier).status == "exited"


def _quietly(action: Callable[..., None], *arguments: object, **options: object) -> None:
    # Another process may be collecting the same object; the next collection retries what fails here.
    try:
        action(*arguments, **options)
    except PypodError:
        return


def orphans(context: Context) -> list[str]:
    """Return the directories of containers, pods and volumes that have no record: a crash during a removal left them.

    Directories of containers and volumes whose record was lost are not among them.
    """
    from pypod.engine.storage import volume_files

    return [*_orphans(context), *volume_files.orphans(context)]


def _orphans(context: Context) -> list[str]:
    there = []
    for kind in ("containers", "pods"):
        base = f"{context.layout.root}/{kind}"
        there += [f"{base}/{name}" for name in sorted(os.listdir(base)) if is_id(name)]
    # Queried after listing the directories: an object's record is created before its directory.
    known = {record.id for record in records.all_containers(context.database)}
    known |= {record.id for record in records.all_pods(context.database)}
    lost = lost_records.lost(context)
    known |= {one.id for one in lost} | {one.kept.container.pod_id for one in lost if one.kept}
    return [path for path in there if os.path.basename(path) not in known]


def repair(context: Context) -> list[str]:
    """Restore records that the store has lost, remove whatever a crash left; return messages about what was done."""
    from pypod.engine.images.removal import sweep
    from pypod.engine.networks import network_repair
    from pypod.engine.networks.names import service
    from pypod.engine.storage import secret_files, volume_files

    left_there = trash.left_behind(context)  # before we move anything there ourselves
    done = [*recovery.bring_back(context), *secret_files.restore(context)]
    collect(context)
    done += volume_files.restore(context)
    for path in _orphans(context):
        with Lock(path) as lock, lock:  # its removal may be under way
            mount_points.detach_root(path)
            trash.discard(context, [path])
        done.append(f"removed {path}")
    swept = (*volume_files.remove_orphans(context), *sweep(context), *secret_files.sweep(context))
    done += [f"removed {path}" for path in swept]
    done += network_repair.repair(context)
    done += [f"removed {path}" for path in service.remove_left_behind(context)]
    if rubbish := trash.contents(context):
        trash.empty_trash(context, rubbish, wait=True)
    if freed := context.database.shrink():
        done.append(f"made the database {freed} bytes smaller")
    return done + [f"deleted {path}" for path in left_there]


def _stop_pod(context: Context, pod_id: str) -> None:
    """Stop the infra of a pod whose exit policy is to stop, if none of its members runs or is about to."""
    pod = records.find_pod(context.database, pod_id)
    everyone = records.all_containers(context.database, pod_id=pod_id)
    members = [one for one in everyone if one.kind != records.INFRA]
    if not any(observe.state_of(context, one.id).active for one in members):
        announce.pod(context, announce.STOP, pod)
        infra.stop_locked(context, pod)


def main() -> None:
    """Do what is to be done after the end of a container; its monitor executes this as the last thing it does.

    argv: ROOT ID WHAT [EVENTS-BACKEND]
    """
    import sys

    from pypod.engine.core.context import Context

    root, identifier, what, *backend = sys.argv[1:]
    if not os.path.exists(Layout(root).database):  # deleted meanwhile: an engine would create it again
        return
    with Context(root) as context:
        context.use_events_backend("".join(backend))
        _quietly(_after_the_end, context, identifier, what)


def _after_the_end(context: Context, identifier: str, what: str) -> None:
    record = records.find_container(context.database, identifier)
    if REMOVE in what:
        _quietly(stopping.remove, context, record)
    if STOP_POD in what:
        _quietly(_stop_pod, context, record.pod_id)
