"""Dependencies of containers on one another and on volumes. Functions over a database.

The tables are filled from the specifications by a trigger (pypod/store/schema.py).
"""

from __future__ import annotations

from pypod.store.records import containers_where

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.store.database import Database
    from pypod.store.records import ContainerRecord


_ANONYMOUS = """SELECT volume FROM container_volumes JOIN volumes ON name = volume
    WHERE container_id = ? AND anonymous != 0"""


def joining(database: Database, container_id: str) -> list[ContainerRecord]:
    """Return the containers that were created to join a namespace of a container, oldest first."""
    where = "id IN (SELECT container_id FROM joined_namespaces WHERE target_id = ?)"
    return containers_where(database, where, (container_id,))


def dependents(database: Database, container_id: str) -> list[ContainerRecord]:
    """Return the containers that cannot be without a container, oldest first: they join it, or require it."""
    joined = "SELECT container_id FROM joined_namespaces WHERE target_id = ?"
    required = "SELECT container_id FROM container_requirements WHERE target_id = ?"
    return containers_where(database, f"id IN ({joined} UNION {required})", (container_id, container_id))


def joining_networks(database: Database) -> set[str]:
    """Return the ids of the containers that were created to join the network namespace of another container."""
    return {one for (one,) in database.read("SELECT container_id FROM joined_namespaces WHERE kind = 'net'")}


def secrets_of(database: Database, container_ids: Iterable[str]) -> set[str]:
    """Return the ids of the secrets that some containers use."""
    ids = tuple(container_ids)
    if not ids:
        return set()
    with database.transaction(write=False) as connection:
        return {
            secret
            for one in ids
            for (secret,) in connection.execute("SELECT secret FROM container_secrets WHERE container_id = ?", (one,))
        }


def volumes_only_of(database: Database, container_ids: Iterable[str]) -> list[str]:
    """Return the anonymous volumes, sorted, that only these containers use."""
    going = set(container_ids)
    if not going:
        return []
    # Few containers have any. One statement over all of them, by json_each, takes five times as long.
    with database.transaction(write=False) as connection:
        found = {volume for one in going for (volume,) in connection.execute(_ANONYMOUS, (one,))}
        users = "SELECT container_id FROM container_volumes WHERE volume = ?"
        return [one for one in sorted(found) if all(user in going for (user,) in connection.execute(users, (one,)))]
