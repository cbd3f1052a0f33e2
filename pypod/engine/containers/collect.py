"""Clean up after those who could not: owners that are gone, --rm containers that ended alone, crashes."""

from __future__ import annotations

import os

from pypod.engine.containers import recovery, stopping
from pypod.engine.core import observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.layout import Layout
from pypod.engine.core.locks import Lock
from pypod.engine.storage import trash, volumes
from pypod.errors import PypodError
from pypod.model.ids import is_id
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pypod.api.engine import Engine


def collect(engine: Engine) -> None:
    """Remove ephemeral objects whose owner is gone and ended containers that were to be removed."""
    from pypod.engine.containers.listing import owner_is_gone

    for pod in records.all_pods(engine.database):
        if owner_is_gone(engine, pod.owner):
            _quietly(_remove_pod, engine, pod.id)
    for record in records.all_containers(engine.database):
        if record.kind == records.INFRA:
            continue
        gone = owner_is_gone(engine, record.owner)
        if gone or (record.remove and _has_ended(engine, record.id)):
            _quietly(stopping.remove, engine, record, force=gone, timeout_s=0)


def disconnect(engine: Engine, container_ids: Iterable[str]) -> None:
    """Let go of the networks of containers that have ended: of their addresses, and of what leads there."""
    for one in container_ids:
        _quietly(_disconnect, engine, one)


def _disconnect(engine: Engine, identifier: str) -> None:
    from pypod.engine.networks.attachments import let_go_of_dead

    with Boundary("disconnect what has ended"):
        let_go_of_dead(engine, identifier)


def _remove_pod(engine: Engine, identifier: str) -> None:
    engine.pods.get(identifier).remove(force=True, timeout=0)


def _remove_container(engine: Engine, identifier: str) -> None:
    engine.containers.get(identifier).remove()


def _has_ended(engine: Engine, identifier: str) -> bool:
    return observe.container_state(engine.layout.container(identifier), engine.boot_id).status == "exited"


def _quietly(action: Callable[..., None], *arguments: object, **options: object) -> None:
    # Somebody else may be collecting the same at the same time; what fails here is found again by the next.
    try:
        action(*arguments, **options)
    except PypodError:
        return


def orphans(engine: Engine) -> list[str]:
    """Return directories of containers, pods and volumes that no record names: a crash in a removal left them.

    Those of containers that the store has lost are none of them.
    """
    there = []
    for kind in ("containers", "pods"):
        base = f"{engine.layout.root}/{kind}"
        there += [f"{base}/{name}" for name in sorted(os.listdir(base)) if is_id(name)]
    # Asked after looking: the record of an object is there before its directory.
    known = {record.id for record in records.all_containers(engine.database)}
    known |= {record.id for record in records.all_pods(engine.database)}
    lost = recovery.lost(engine)
    known |= {one.id for one in lost} | {one.kept.container.pod_id for one in lost if one.kept}
    return [*(path for path in there if os.path.basename(path) not in known), *volumes.orphans(engine)]


def repair(engine: Engine) -> list[str]:
    """Bring back what the store has lost, remove whatever a crash left; return what was done, in words."""
    from pypod.engine.images.removal import sweep
    from pypod.engine.networks import name_service, network_repair

    left_there = trash.left_behind(engine)  # before we put something there ourselves
    done = recovery.bring_back(engine)
    collect(engine)
    for path in orphans(engine):
        with Lock(path) as lock, lock:  # its removal may be under way
            trash.discard(engine, [path])
        done.append(f"removed {path}")
    done += [f"removed {path}" for path in sweep(engine)]
    done += network_repair.repair(engine)
    done += [f"removed {path}" for path in name_service.remove_left_behind(engine)]
    if rubbish := trash.contents(engine):
        trash.empty_trash(engine, rubbish, wait=True)
    if freed := engine.database.shrink():
        done.append(f"made the database {freed} bytes smaller")
    return done + [f"deleted {path}" for path in left_there]


def main() -> None:
    """Entry for the monitor's last act: remove one container. argv: ROOT ID."""
    import sys

    from pypod.api.engine import Engine

    root, identifier = sys.argv[1:3]
    if not os.path.exists(Layout(root).database):  # deleted meanwhile: an engine would make it again
        return
    with Engine(root) as engine:
        _quietly(_remove_container, engine, identifier)
