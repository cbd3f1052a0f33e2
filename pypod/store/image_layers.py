"""The layers of images. Functions over a database; their directories are managed elsewhere.

A layer is identified by its chain: the digest of its diff id and all below (image-spec, config.md, "Layer ChainID").
"""

from __future__ import annotations

from pypod.model.value import Value
from pypod.store.rows import record_of, types_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pypod.store.database import Database


class LayerRecord(Value):
    """A row of the table of layers.

    ``directory`` is a name below the directory of layers. An ``opaque`` layer hides everything below it: overlayfs does
    not look at that mark in the root of a layer, so the layers below are left out.
    """

    chain: str
    parent: str
    diff_id: str
    directory: str
    size_bytes: int
    opaque: int = 0


_DEPTH_LIMIT = 1 << 16  # a damaged row may name itself as its parent
_LAYER = "chain, parent, diff_id, directory, size_bytes, opaque"
_TYPES = types_of(LayerRecord, "size_bytes", "opaque")


def _layer(row: tuple[Any, ...]) -> LayerRecord:
    return record_of(LayerRecord, _TYPES, row)


def add(database: Database, record: LayerRecord) -> bool:
    """Insert a layer and return True; an existing one of the same chain stays."""
    with database.transaction() as connection, connection:
        values = tuple(value for _, value in record.items())
        added = connection.execute(f"INSERT OR IGNORE INTO layers ({_LAYER}) VALUES (?,?,?,?,?,?)", values)  # noqa: S608
        return added.rowcount == 1


def find(database: Database, chain: str) -> LayerRecord | None:
    """Return the layer of a chain, None when there is none."""
    rows = database.read(f"SELECT {_LAYER} FROM layers WHERE chain = ?", (chain,))  # noqa: S608
    return _layer(rows[0]) if rows else None


def of_chain(database: Database, chain: str) -> list[LayerRecord]:
    """Return the layer of a chain and all below, topmost first."""
    statement = f"""WITH RECURSIVE below(chain, parent, diff_id, directory, size_bytes, opaque, depth) AS (
        SELECT {_LAYER}, 0 FROM layers WHERE chain = ?
        UNION ALL SELECT l.chain, l.parent, l.diff_id, l.directory, l.size_bytes, l.opaque, depth + 1
        FROM layers l JOIN below ON l.chain = below.parent WHERE depth < {_DEPTH_LIMIT})
        SELECT {_LAYER} FROM below ORDER BY depth"""  # noqa: S608
    return [_layer(row) for row in database.read(statement, (chain,))]


def all_layers(database: Database) -> list[LayerRecord]:
    """Return every layer, ordered by chain."""
    return [_layer(row) for row in database.read(f"SELECT {_LAYER} FROM layers ORDER BY chain")]  # noqa: S608


def shown(layers: Sequence[LayerRecord]) -> tuple[str, ...]:
    """Return the directories of layers, topmost first, down to the first opaque one."""
    count = next((number for number, layer in enumerate(layers, 1) if layer.opaque), len(layers))
    return tuple(layer.directory for layer in layers[:count])


def remove_unused(database: Database) -> None:
    """Delete the layers that no image uses, even on a full disk; their directories are managed elsewhere."""
    database.delete(
        [
            (
                """WITH RECURSIVE used(chain) AS (
                SELECT chain FROM images UNION SELECT l.parent FROM layers l JOIN used ON l.chain = used.chain)
                DELETE FROM layers WHERE chain NOT IN used""",
                (),
            )
        ]
    )


def directories(database: Database) -> set[str]:
    """Return the names of all layer directories: of images, and of containers whose image has been lost."""
    of_containers = "json_each(CASE WHEN json_valid(spec) THEN spec ELSE '{}' END, '$.layers')"
    rows = database.read(f"SELECT directory FROM layers UNION SELECT value FROM containers, {of_containers}")  # noqa: S608
    return {row[0] for row in rows}
