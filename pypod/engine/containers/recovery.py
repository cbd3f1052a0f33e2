"""Restore the records of containers that the store has lost (``lost_records``)."""

from __future__ import annotations

import os

from pypod.engine.core import kept_records, observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import Lock
from pypod.engine.core.lost_records import lost, lost_at_most
from pypod.engine.resources import groups
from pypod.engine.storage import secret_files, volume_files
from pypod.errors import StoreError
from pypod.kernel import pidfd
from pypod.kernel.abi import SIGKILL
from pypod.kernel.cgroups.tree import DEFAULT_PARENT
from pypod.model.ids import short
from pypod.model.mount import VOLUME
from pypod.store import images, networks, restoring, stored_specs, volumes
from pypod.store.records import INFRA

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from sqlite3 import Connection

    from pypod.engine.core.context import Context
    from pypod.engine.core.kept_records import Kept
    from pypod.engine.core.lost_records import Lost
    from pypod.store.records import PodRecord

_END_TIMEOUT_S = 10.0


def bring_back(context: Context) -> list[str]:
    """Restore the lost records of containers, and kill running containers of which nothing is known.

    Returns messages about what was done, and about what could not be restored.
    """
    done: list[str] = []
    kept = [one.kept for one in lost_at_most(context) if one.kept is not None]
    kept.sort(key=lambda one: one.container.created_ns)
    before = context.database.when_new
    # in the transaction that creates the tables: a process killed in between leaves a database yet to be created
    context.database.when_new = lambda connection: done.extend(
        (
            *volume_files.restore_all(context.layout, connection),
            *secret_files.restore_all(context.layout, connection),
            *_words(connection, kept),
        )
    )
    try:
        with Boundary("bring records back"):
            context.database.read("SELECT 1")  # creates the tables of a new database
            for one in lost(context):
                done += _bring_back(context, one.kept) if one.kept else [_end(context, one)]
    finally:
        context.database.when_new = before
    return done


def _bring_back(context: Context, kept: Kept) -> list[str]:
    """Restore one unless it is being removed; members of a pod are removed under the pod's lock."""
    if kept.pod is None:
        return _bring_back_locked(context, kept)
    with Lock(context.layout.pod(kept.pod.id)) as lock, lock:
        return _bring_back_locked(context, kept)


def _bring_back_locked(context: Context, kept: Kept) -> list[str]:
    directory = context.layout.container(kept.container.id)
    with Lock(directory) as lock, lock:
        if kept_records.read(directory) is None:
            return []
        with context.database.transaction() as connection, connection:
            return _words(connection, [kept])


def _words(connection: Connection, everyone: Iterable[Kept]) -> list[str]:
    done = [words for one in everyone for words in _restore(connection, one)]
    volumes.restore_anonymous(connection)
    return done


def _restore(connection: Connection, kept: Kept) -> list[str]:
    """Insert the missing rows of a container and its pod; return messages about what was done."""
    done = []
    if kept.pod is not None:
        done += _told("pod", kept.pod.id, kept.pod.name, restoring.restore_pod(connection, kept.pod))
    record = kept.container
    name = restoring.restore_container(connection, record)
    if not name:
        return done
    done += _told("container", record.id, record.name, name)
    if record.kind == INFRA and kept.pod is not None:  # its volumes are those of the pod
        volumes.use(connection, record.id, _volumes(kept.pod))
    for asked, made, network in kept.connections:
        why = networks.restore(connection, record.id, asked, made, network)
        done += [f"a connection of container {name} could not be brought back: {why}"] if why else []
    if record.image_id and not images.is_there(connection, record.image_id):
        done.append(f"image {record.image} of container {name} is not known any more: pypod pull brings it back")
    return done


def _volumes(record: PodRecord) -> list[str]:
    try:
        return [mount.source for mount in stored_specs.pod_spec(record).mounts if mount.type == VOLUME]
    except StoreError:  # damaged
        return []


def _told(kind: str, identifier: str, before: str, name: str) -> list[str]:
    if not name:
        return []
    renamed = f" as {name}: its name was taken meanwhile" if name != before else ""
    return [f"brought back the record of {kind} {before} ({short(identifier)}){renamed}"]


def _end(context: Context, one: Lost) -> str:
    """Kill a container of which nothing is known; its files are deleted like those that a crash left."""
    directory = context.layout.container(one.id)
    fd = pidfd.open_process(*one.process) if one.process else None
    if fd is not None:
        try:
            pidfd.send_signal(fd, SIGKILL)
            pidfd.wait(fd, _END_TIMEOUT_S)
        finally:
            os.close(fd)
        observe.container_state(directory, context.boot_id)  # waits for its supervisor, which ends the rest
    tree = context.cgroups.tracking_directory(DEFAULT_PARENT)
    for group, _, _ in os.walk(tree) if tree else ():
        if os.path.basename(group) == one.id:
            groups.clear(context, f"{DEFAULT_PARENT}{group.removeprefix(tree)}")
    number = one.process[0] if one.process else 0
    return f"ended process {number} of container {short(one.id)}: nothing is known about it"
