"""Clean up after those who could not: owners that are gone, --rm containers that ended alone, crashes."""

from __future__ import annotations

import os

from pypod.engine.containers import pods, recovery
from pypod.engine.core import lost_records, observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.layout import Layout
from pypod.engine.core.locks import Lock
from pypod.engine.core.owners import owner_is_gone
from pypod.engine.lifecycle import stopping
from pypod.engine.storage import trash, volumes
from pypod.errors import PypodError
from pypod.model.ids import is_id
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pypod.engine.core.context import Context


def collect(context: Context) -> None:
    """Remove ephemeral objects whose owner is gone and ended containers that were to be removed."""
    for pod in records.all_pods(context.database):
        if owner_is_gone(context, pod.owner):
            _quietly(_remove_pod, context, pod.id)
    for record in records.all_containers(context.database):
        if record.kind == records.INFRA:
            continue
        gone = owner_is_gone(context, record.owner)
        if gone or (record.remove and _has_ended(context, record.id)):
            _quietly(stopping.remove, context, record, force=gone, timeout_s=0)


def disconnect(context: Context, container_ids: Iterable[str]) -> None:
    """Let go of the networks of containers that have ended: of their addresses, and of what leads there."""
    for one in container_ids:
        _quietly(_disconnect, context, one)


def _disconnect(context: Context, identifier: str) -> None:
    from pypod.engine.networks.attachments import detach_if_ended

    with Boundary("disconnect what has ended"):
        detach_if_ended(context, identifier)


def _remove_pod(context: Context, identifier: str) -> None:
    pods.remove(context, records.find_pod(context.database, identifier), timeout_s=0)


def _remove_container(context: Context, identifier: str) -> None:
    stopping.remove(context, records.find_container(context.database, identifier))


def _has_ended(context: Context, identifier: str) -> bool:
    return observe.state_of(context, identifier).status == "exited"


def _quietly(action: Callable[..., None], *arguments: object, **options: object) -> None:
    # Somebody else may be collecting the same at the same time; what fails here is found again by the next.
    try:
        action(*arguments, **options)
    except PypodError:
        return


def orphans(context: Context) -> list[str]:
    """Return directories of containers, pods and volumes that no record names: a crash in a removal left them.

    Those of containers that the store has lost are none of them.
    """
    there = []
    for kind in ("containers", "pods"):
        base = f"{context.layout.root}/{kind}"
        there += [f"{base}/{name}" for name in sorted(os.listdir(base)) if is_id(name)]
    # Asked after looking: the record of an object is there before its directory.
    known = {record.id for record in records.all_containers(context.database)}
    known |= {record.id for record in records.all_pods(context.database)}
    lost = lost_records.lost(context)
    known |= {one.id for one in lost} | {one.kept.container.pod_id for one in lost if one.kept}
    return [*(path for path in there if os.path.basename(path) not in known), *volumes.orphans(context)]


def repair(context: Context) -> list[str]:
    """Bring back what the store has lost, remove whatever a crash left; return what was done, in words."""
    from pypod.engine.images.removal import sweep
    from pypod.engine.networks import name_service, network_repair

    left_there = trash.left_behind(context)  # before we put something there ourselves
    done = recovery.bring_back(context)
    collect(context)
    for path in orphans(context):
        with Lock(path) as lock, lock:  # its removal may be under way
            trash.discard(context, [path])
        done.append(f"removed {path}")
    done += [f"removed {path}" for path in sweep(context)]
    done += network_repair.repair(context)
    done += [f"removed {path}" for path in name_service.remove_left_behind(context)]
    if rubbish := trash.contents(context):
        trash.empty_trash(context, rubbish, wait=True)
    if freed := context.database.shrink():
        done.append(f"made the database {freed} bytes smaller")
    return done + [f"deleted {path}" for path in left_there]


def main() -> None:
    """Entry for the monitor's last act: remove one container. argv: ROOT ID."""
    import sys

    from pypod.engine.core.context import Context

    root, identifier = sys.argv[1:3]
    if not os.path.exists(Layout(root).database):  # deleted meanwhile: an engine would make it again
        return
    with Context(root) as context:
        _quietly(_remove_container, context, identifier)
