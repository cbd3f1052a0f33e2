"""Bring back the records of containers that the store has lost: its file was deleted, emptied or an old copy put back.

What was started is known by its directory (``kept_records``), what runs by the status file in it and the kernel.
"""

from __future__ import annotations

import os

from pypod.engine.containers import kept_records
from pypod.engine.core import observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import Lock
from pypod.errors import PypodError, StoreError, Unsupported
from pypod.model.ids import short
from pypod.model.value import Value
from pypod.store import images, networks, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from sqlite3 import Connection

    from pypod.api.engine import Engine
    from pypod.engine.containers.kept_records import Kept
    from pypod.engine.core.layout import Layout

_END_TIMEOUT_S = 10.0


class Lost(Value):
    """A container without a record: what its directory has kept of that, and its process when it runs."""

    id: str
    kept: Kept | None
    process: tuple[int, int] | None

    def __str__(self) -> str:
        name = (
            f"container {self.kept.container.name} ({short(self.id)})" if self.kept else f"container {short(self.id)}"
        )
        state = f"runs, process {self.process[0]}," if self.process else "was started once,"
        unknown = "" if self.kept else ", nor does its directory tell what it is"
        return f"{name} {state} and no record knows it{unknown}"


def lost(engine: Engine) -> list[Lost]:
    """Return the containers that were started here and have no record. Raises StoreError."""
    there = kept_records.started(engine.layout)
    # asked after looking: the record of a container is there before its directory
    known = {record.id for record in records.all_containers(engine.database)} if there else ()
    return _without_record(engine, (one for one in there if one not in known))


def lost_at_most(engine: Engine) -> list[Lost]:
    """Return the same, or every container that was started here where the store cannot be read."""
    try:
        return lost(engine)
    except PypodError:
        return _without_record(engine, kept_records.started(engine.layout))


def _without_record(engine: Engine, identifiers: Iterable[str]) -> list[Lost]:
    return [one for one in (_look(engine, identifier) for identifier in identifiers) if one.kept or one.process]


def _look(engine: Engine, identifier: str) -> Lost:
    directory = engine.layout.container(identifier)
    process = observe.running_process(directory, engine.boot_id)
    return Lost(id=identifier, kept=kept_records.read(directory), process=process)


def refuse_new_database(layout: Layout, boot_id: str) -> None:
    """Raise StoreError when containers were started in a storage whose database was just made: it is not the first."""
    there = kept_records.started(layout)
    if there:
        running = sum(observe.running_process(layout.container(one), boot_id) is not None for one in there)
        raise StoreError(
            layout.database,
            f"the database was lost: {layout.database} is new, and {len(there)} containers were started here, "
            f"of which {running} run",
            hint="pypod system check tells which, pypod system check --repair brings their records back",
        )


def layers_in_use(engine: Engine) -> set[str] | None:
    """Return the layers of containers without a record; None when some run and nobody knows which they have."""
    found: set[str] = set()
    for one in lost(engine):
        if one.kept is None:
            return None
        try:
            found.update(records.container_spec(one.kept.container).layers)
        except Unsupported:  # of an infra
            continue
        except StoreError:  # damaged
            return None
    return found


def bring_back(engine: Engine) -> list[str]:
    """Write the records of containers that were lost anew, and end what runs and nothing is known of.

    Returns in words what was done, and what could not be brought back.
    """
    done: list[str] = []
    kept = [one.kept for one in lost_at_most(engine) if one.kept is not None]
    kept.sort(key=lambda one: one.container.created_ns)
    before = engine.database.when_new
    # all of them with the tables: whoever is killed in between leaves a database that is still to be made
    engine.database.when_new = lambda connection: done.extend(_words(connection, kept))
    try:
        with Boundary("bring records back"):
            for one in lost(engine):
                done += _bring_back(engine, one.kept) if one.kept else [_end(engine, one)]
    finally:
        engine.database.when_new = before
    return done


def _bring_back(engine: Engine, kept: Kept) -> list[str]:
    """Bring one back, unless somebody is just removing it: a pod's are removed under the lock of the pod."""
    if kept.pod is None:
        return _bring_back_locked(engine, kept)
    with Lock(engine.layout.pod(kept.pod.id)) as lock, lock:
        return _bring_back_locked(engine, kept)


def _bring_back_locked(engine: Engine, kept: Kept) -> list[str]:
    directory = engine.layout.container(kept.container.id)
    with Lock(directory) as lock, lock:
        if kept_records.read(directory) is None:
            return []
        with engine.database.transaction() as connection, connection:
            return _words(connection, [kept])


def _words(connection: Connection, everyone: Iterable[Kept]) -> list[str]:
    return [words for one in everyone for words in _restore(connection, one)]


def _restore(connection: Connection, kept: Kept) -> list[str]:
    """Insert the rows of a container and its pod that are missing; return in words what was done."""
    done = []
    if kept.pod is not None:
        done += _told("pod", kept.pod.id, kept.pod.name, records.restore_pod(connection, kept.pod))
    record = kept.container
    name = records.restore_container(connection, record)
    if not name:
        return done
    done += _told("container", record.id, record.name, name)
    for asked, made, network in kept.connections:
        why = networks.restore(connection, record.id, asked, made, network)
        done += [f"a connection of container {name} could not be brought back: {why}"] if why else []
    if record.image_id and not images.is_there(connection, record.image_id):
        done.append(f"image {record.image} of container {name} is not known any more: pypod pull brings it back")
    return done


def _told(kind: str, identifier: str, before: str, name: str) -> list[str]:
    if not name:
        return []
    renamed = f" as {name}: its name was given away meanwhile" if name != before else ""
    return [f"brought back the record of {kind} {before} ({short(identifier)}){renamed}"]


def _end(engine: Engine, one: Lost) -> str:
    """End a container that nothing is known of; what it was made of is deleted like what a crash left."""
    from pypod.engine.resources import groups
    from pypod.kernel import pidfd
    from pypod.kernel.abi import SIGKILL
    from pypod.kernel.cgroups.driver import DEFAULT_PARENT

    directory = engine.layout.container(one.id)
    fd = pidfd.open_process(*one.process) if one.process else None
    if fd is not None:
        try:
            pidfd.send_signal(fd, SIGKILL)
            pidfd.wait(fd, _END_TIMEOUT_S)
        finally:
            os.close(fd)
        observe.container_state(directory, engine.boot_id)  # waits for its supervisor, who ends the rest
    tree = engine.cgroups.tracking_directory(DEFAULT_PARENT)
    for group, _, _ in os.walk(tree) if tree else ():
        if os.path.basename(group) == one.id:
            groups.clear(engine, f"{DEFAULT_PARENT}{group.removeprefix(tree)}")
    number = one.process[0] if one.process else 0
    return f"ended process {number} of container {short(one.id)}: nothing tells what it was"
