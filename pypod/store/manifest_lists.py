"""Manifest lists: rows of the table of images, and the source of each member. Functions over a connection."""

from __future__ import annotations

from pypod.store.images import ImageRecord, image_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from sqlite3 import Connection


def put(connection: Connection, record: ImageRecord, blobs: Iterable[str], sources: Mapping[str, str]) -> None:
    """Insert a list, or replace a stored one except for its names.

    ``blobs`` are those that it needs locally. ``sources`` maps each member's digest to its name in a registry, or to an
    empty string when all of it is local.
    """
    values = tuple(value for _, value in record.items())
    connection.execute("INSERT OR REPLACE INTO images VALUES (?,?,?,?,?,?)", values)
    connection.execute("DELETE FROM image_blobs WHERE image_id = ?", (record.id,))
    connection.executemany("INSERT INTO image_blobs VALUES (?,?)", [(record.id, one) for one in set(blobs)])
    connection.execute("DELETE FROM list_members WHERE image_id = ?", (record.id,))
    rows = [(record.id, digest, source) for digest, source in sources.items()]
    connection.executemany("INSERT INTO list_members VALUES (?,?,?)", rows)


def read(connection: Connection, identifier: str) -> ImageRecord | None:
    """Return the stored record of a list, or None."""
    row = connection.execute("SELECT * FROM images WHERE id = ?", (identifier,)).fetchone()
    return image_of(row) if row else None


def sources(connection: Connection, identifier: str) -> dict[str, str]:
    """Return the source of each member by its digest."""
    return dict(connection.execute("SELECT digest, source FROM list_members WHERE image_id = ?", (identifier,)))
