"""Containers that were started here but have no record: the database was deleted, emptied, or replaced by an old copy.

Their directories show which were started (``kept_records``); the status files there and the kernel, which are running.
"""

from __future__ import annotations

import os

from pypod.engine.core import kept_records, observe
from pypod.errors import PypodError, StoreError, Unsupported
from pypod.model.ids import short
from pypod.model.value import Value
from pypod.store import records, stored_specs

VOLUME_RECORD = "record.json"
SECRET_RECORD = ".json"  # noqa: S105  # after the name of the content

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.engine.core.context import Context
    from pypod.engine.core.kept_records import Kept
    from pypod.engine.core.layout import Layout


class Lost(Value):
    """A container without a record: the rows kept in its directory, and its process if it is running."""

    id: str
    kept: Kept | None
    process: tuple[int, int] | None

    def __str__(self) -> str:
        name = (
            f"container {self.kept.container.name} ({short(self.id)})" if self.kept else f"container {short(self.id)}"
        )
        state = f"is running as process {self.process[0]}" if self.process else "was started"
        unknown = "" if self.kept else ", and its directory does not say what it is"
        return f"{name} {state} but has no record{unknown}"


def lost(context: Context) -> list[Lost]:
    """Return the containers that were started here but have no record. Raises StoreError."""
    there = kept_records.started(context.layout)
    # read after the directories were listed: a container's record is written before its directory is created
    known = {record.id for record in records.all_containers(context.database)} if there else ()
    return _without_record(context, (one for one in there if one not in known))


def lost_at_most(context: Context) -> list[Lost]:
    """Return the same, or every container that was started here when the store cannot be read."""
    try:
        return lost(context)
    except PypodError:
        return _without_record(context, kept_records.started(context.layout))


def _without_record(context: Context, identifiers: Iterable[str]) -> list[Lost]:
    return [one for one in (_look(context, identifier) for identifier in identifiers) if one.kept or one.process]


def _look(context: Context, identifier: str) -> Lost:
    directory = context.layout.container(identifier)
    process = observe.running_process(directory, context.boot_id)
    return Lost(id=identifier, kept=kept_records.read(directory), process=process)


def refuse_new_database(layout: Layout, boot_id: str) -> None:
    """Raise StoreError when a storage whose database is new has volumes, secrets, or containers that were started.

    There was another database before it.
    """
    there = kept_records.started(layout)
    volumes, secrets = _volumes(layout), _secrets(layout)
    if there or volumes or secrets:
        running = sum(observe.running_process(layout.container(one), boot_id) is not None for one in there)
        others = [f"{count} {what}" for count, what in ((volumes, "volumes"), (secrets, "secrets")) if count]
        kept = f", and {' and '.join(others)} are here" if others else ""
        raise StoreError(
            layout.database,
            f"the database was lost: {layout.database} is new, and {len(there)} containers were started here, "
            f"{running} of which are running{kept}",
            hint="pypod system check lists them, pypod system check --repair restores their records",
        )


def _volumes(layout: Layout) -> int:
    """Return the number of volumes that have a copy of their record."""
    try:
        names = os.listdir(layout.volumes)
    except FileNotFoundError:
        return 0
    return sum(os.path.lexists(f"{layout.volume(name)}/{VOLUME_RECORD}") for name in names)


def _secrets(layout: Layout) -> int:
    """Return the number of secrets that have a copy of their record."""
    try:
        return sum(name.endswith(SECRET_RECORD) for name in os.listdir(layout.secrets))
    except FileNotFoundError:
        return 0


def layers_in_use(context: Context) -> set[str] | None:
    """Return the layers of containers without a record; None when one of these runs and its layers are unknown."""
    found: set[str] = set()
    for one in lost(context):
        if one.kept is None:
            return None
        try:
            found.update(stored_specs.container_spec(one.kept.container).layers)
        except Unsupported:  # an infra has none
            continue
        except StoreError:  # its record is damaged
            return None
    return found
