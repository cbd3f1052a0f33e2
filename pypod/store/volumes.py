"""Volumes and the containers that use them. Functions over a database.

The table ``container_volumes`` has the uses; a trigger fills it from the specifications (pypod/store/schema.py).
"""

from __future__ import annotations

from pypod.errors import AlreadyExists, AmbiguousName, NoSuchVolume
from pypod.model.volume import VolumeRecord
from pypod.store.rows import of_types, record_of, types_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from sqlite3 import Connection
    from typing import Any

    from pypod.store.database import Database

VOLUME = "volume"


_COLUMNS = ", ".join(VolumeRecord._fields)
_TYPES = types_of(VolumeRecord, "created_ns", "anonymous", "needs_copy", "needs_owner")


def _record(row: tuple[Any, ...]) -> VolumeRecord:
    return record_of(VolumeRecord, _TYPES, row)


def checked(record: VolumeRecord) -> VolumeRecord:
    """Return a record from outside the store if its fields have the types of its columns. Raises ValueError."""
    return of_types(record, _TYPES)


def add(connection: Connection, record: VolumeRecord) -> None:
    """Insert a volume. Raises AlreadyExists when the name is taken."""
    if not add_missing(connection, [record]):
        raise AlreadyExists(VOLUME, record.name, VOLUME, record.name)


def add_missing(connection: Connection, wanted: Iterable[VolumeRecord]) -> list[VolumeRecord]:
    """Insert those volumes whose names are free; return them."""
    marks = ",".join("?" * len(VolumeRecord._fields))
    statement = f"INSERT OR IGNORE INTO volumes ({_COLUMNS}) VALUES ({marks})"  # noqa: S608
    return [
        one for one in wanted if connection.execute(statement, tuple(value for _, value in one.items())).rowcount == 1
    ]


def named(database: Database, name: str) -> VolumeRecord | None:
    """Return the volume of this name, None if there is none."""
    found = of_names(database, [name])
    return found[0] if found else None


def of_names(database: Database, names: Sequence[str]) -> list[VolumeRecord]:
    """Return the volumes with these names; unknown ones are left out."""
    names = [name for name in names if name.isascii()]
    marks = ",".join("?" * len(names))
    rows = database.read(f"SELECT {_COLUMNS} FROM volumes WHERE name IN ({marks})", names)  # noqa: S608
    return [_record(row) for row in rows]


def find(database: Database, ref: str) -> VolumeRecord:
    """Return the volume with a name, or the beginning of one. Raises NoSuchVolume, AmbiguousName."""
    found = named(database, ref)
    if found is not None:
        return found
    rows = []
    if ref and ref.isascii():  # a name is ASCII without characters above z
        statement = f"SELECT {_COLUMNS} FROM volumes WHERE name >= ? AND name < ? LIMIT 8"  # noqa: S608
        rows = database.read(statement, (ref, f"{ref}~"))
    if not rows:
        raise NoSuchVolume(ref)
    if len(rows) > 1:
        raise AmbiguousName(VOLUME, ref, tuple(row[0] for row in rows))
    return _record(rows[0])


def all_volumes(database: Database) -> list[VolumeRecord]:
    """Return every volume by name."""
    return [_record(row) for row in database.read(f"SELECT {_COLUMNS} FROM volumes ORDER BY name")]  # noqa: S608


def names(database: Database) -> set[str]:
    """Return the names of all volumes."""
    return {name for (name,) in database.read("SELECT name FROM volumes")}


def users(database: Database, name: str) -> list[str]:
    """Return the ids of the containers that use a volume, sorted; a pod's volumes are its infra's."""
    rows = database.read("SELECT container_id FROM container_volumes WHERE volume = ? ORDER BY container_id", (name,))
    return [one for (one,) in rows]


def used(database: Database) -> set[str]:
    """Return the names of the volumes that any container uses."""
    return {name for (name,) in database.read("SELECT DISTINCT volume FROM container_volumes")}


def counts(database: Database) -> dict[str, int]:
    """Return the number of volumes of each container that has any."""
    return dict(database.read("SELECT container_id, COUNT(*) FROM container_volumes GROUP BY container_id"))


def links(database: Database) -> dict[str, int]:
    """Return the number of containers that use each volume that is used."""
    return dict(database.read("SELECT volume, COUNT(*) FROM container_volumes GROUP BY volume"))


def use(connection: Connection, container_id: str, names: Iterable[str]) -> None:
    """Record that a container uses volumes, in addition to those of its specification."""
    for name in names:
        connection.execute("INSERT OR IGNORE INTO container_volumes VALUES (?,?)", (container_id, name))


def remove_unused(database: Database, name: str) -> None:
    """Delete a volume's row unless a container uses it; it may be gone already."""
    unused = "name NOT IN (SELECT volume FROM container_volumes WHERE volume = ?)"
    database.delete([(f"DELETE FROM volumes WHERE name = ? AND {unused}", (name, name))])  # noqa: S608


def set_used(database: Database, name: str, *, copied: bool) -> None:
    """Record that a container has started with a volume, and whether there is content in it now."""
    fields = "needs_owner = 0, needs_copy = 0" if copied else "needs_owner = 0"
    with database.transaction() as connection, connection:
        connection.execute(f"UPDATE volumes SET {fields} WHERE name = ?", (name,))  # noqa: S608


def set_mounts(database: Database, name: str, mounts: str) -> None:
    """Record how often the user has mounted a volume."""
    with database.transaction() as connection, connection:
        connection.execute("UPDATE volumes SET mounts = ? WHERE name = ?", (mounts, name))


def restore_anonymous(connection: Connection) -> None:
    """Insert the volumes that containers use and that have no row: those of an older pypod, which kept no copies."""
    connection.execute(
        """INSERT OR IGNORE INTO volumes
            SELECT volume, 'local', min(created_ns), 1, '[]', '[]', '', 1, 1, ''
            FROM container_volumes JOIN containers ON containers.id = container_id
            WHERE volume NOT IN (SELECT name FROM volumes) GROUP BY volume"""
    )
