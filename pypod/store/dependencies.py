"""What containers have of one another, and volumes. Functions over a database.

The tables are filled from the specifications by a trigger (pypod/store/schema.py).
"""

from __future__ import annotations

from pypod.model import plain_json
from pypod.store.records import containers_where

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.store.database import Database
    from pypod.store.records import ContainerRecord


def joining(database: Database, container_id: str) -> list[ContainerRecord]:
    """Return the containers that were created to join a namespace of one, the oldest first."""
    where = "id IN (SELECT container_id FROM joined_namespaces WHERE target_id = ?)"
    return containers_where(database, where, (container_id,))


def joined_by(database: Database, container_id: str) -> list[str]:
    """Return the ids, sorted, of the containers whose namespaces one was created to join."""
    statement = "SELECT DISTINCT target_id FROM joined_namespaces WHERE container_id = ? ORDER BY target_id"
    return [target for (target,) in database.read(statement, (container_id,))]


def joining_networks(database: Database) -> set[str]:
    """Return the ids of the containers that were created to join the network namespace of another one."""
    return {one for (one,) in database.read("SELECT container_id FROM joined_namespaces WHERE kind = 'net'")}


def volumes(database: Database) -> set[str]:
    """Return the anonymous volumes that any container has."""
    return {volume for (volume,) in database.read("SELECT DISTINCT volume FROM container_volumes")}


def volumes_only_of(database: Database, container_ids: Iterable[str]) -> list[str]:
    """Return the anonymous volumes, sorted, that these containers have and no other one."""
    statement = """WITH going(id) AS (SELECT value FROM json_each(?))
        SELECT DISTINCT volume FROM container_volumes AS theirs WHERE container_id IN going
        AND NOT EXISTS (SELECT 1 FROM container_volumes AS other
            WHERE other.volume = theirs.volume AND other.container_id NOT IN going) ORDER BY volume"""
    return [volume for (volume,) in database.read(statement, (plain_json.dumps(list(container_ids)),))]
