"""Restore lost rows from the copies kept beside the containers."""

from __future__ import annotations

from pypod.errors import StoreError, Unsupported
from pypod.store.records import INFRA, PodRecord, add_container, add_pod, renamed
from pypod.store.stored_specs import columns, container_spec, pod_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection
    from typing import Any

    from pypod.store.records import ContainerRecord


def restore_pod(connection: Connection, record: PodRecord) -> str:
    """Insert a pod whose row was lost, renamed if its name is taken; return the name, or nothing if the row exists."""
    if connection.execute("SELECT 1 FROM pods WHERE id = ?", (record.id,)).fetchone():
        return ""
    name = _free_name(connection, record.name, record.id)
    record = record.replace(spec_json=renamed(record.spec_json, record.name, name), name=name)
    add_pod(connection, record.replace(**_columns(record)))
    return name


def restore_container(connection: Connection, record: ContainerRecord) -> str:
    """Insert a container as ``restore_pod`` does a pod; its pod must exist, its image need not."""
    if connection.execute("SELECT 1 FROM containers WHERE id = ?", (record.id,)).fetchone():
        return ""
    name = _free_name(connection, record.name, record.id)
    image_id = record.image_id
    text = record.spec_json if record.kind == INFRA else renamed(record.spec_json, record.name, name)
    record = record.replace(spec_json=text, name=name, image_id="")
    add_container(connection, record.replace(**_columns(record)))
    connection.execute("UPDATE containers SET image_id = ? WHERE id = ?", (image_id, record.id))
    return name


def _columns(record: ContainerRecord | PodRecord) -> dict[str, Any]:
    """Return the columns beside a specification, which a record kept by an older pypod lacks."""
    try:
        return columns(pod_spec(record) if isinstance(record, PodRecord) else container_spec(record))
    except (StoreError, Unsupported):  # damaged, or of an infra
        return {}


def _free_name(connection: Connection, name: str, identifier: str) -> str:
    taken = connection.execute("SELECT 1 FROM names WHERE name = ?", (name,)).fetchone()
    return f"{name}_{identifier[:6]}" if taken else name
