"""Secrets without their content, and which containers use them. Functions over a database."""

from __future__ import annotations

from pypod.errors import AlreadyExists, AmbiguousName, NoSuchSecret
from pypod.model.ids import is_id
from pypod.model.secret import SecretSpec
from pypod.store.rows import parse_value, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from sqlite3 import Connection

    from pypod.store.database import Database

SECRET = "secret"  # noqa: S105
_KEPT, _ADDED = 57, 6  # letters of a name and of an id, to make a name that is free


def add(connection: Connection, spec: SecretSpec) -> None:
    """Insert a secret. Raises AlreadyExists when the name is taken."""
    holder = connection.execute("SELECT id FROM secrets WHERE name = ?", (spec.name,)).fetchone()
    if holder:
        raise AlreadyExists(SECRET, spec.name, SECRET, holder[0])
    connection.execute("INSERT INTO secrets VALUES (?,?,?)", (spec.id, spec.name, to_json(spec)))


def restore(connection: Connection, spec: SecretSpec) -> str:
    """Insert a secret whose row was lost, renamed if its name is taken; return the name."""
    taken = connection.execute("SELECT 1 FROM secrets WHERE name = ?", (spec.name,)).fetchone()
    if taken:
        spec = spec.replace(name=f"{spec.name[:_KEPT]}_{spec.id[:_ADDED]}")
    add(connection, spec)
    return spec.name


def remove(connection: Connection, identifier: str) -> bool:
    """Delete a secret's row; return whether its content can be deleted: no container uses it."""
    connection.execute("DELETE FROM secrets WHERE id = ?", (identifier,))
    return not connection.execute("SELECT 1 FROM container_secrets WHERE secret = ?", (identifier,)).fetchone()


def require(connection: Connection, identifiers: Iterable[str]) -> None:
    """Raise NoSuchSecret when one of these secrets was removed."""
    for identifier in identifiers:
        if not connection.execute("SELECT 1 FROM secrets WHERE id = ?", (identifier,)).fetchone():
            raise NoSuchSecret(identifier)


def find(database: Database, ref: str) -> SecretSpec:
    """Return the secret with a name, an id or the beginning of an id. Raises NoSuchSecret, AmbiguousName."""
    rows = []
    if ref.isascii():
        rows = database.read("SELECT id, spec FROM secrets WHERE name = ?", (ref,))
        rows = rows or database.read("SELECT id, spec FROM secrets WHERE id = ?", (ref,))
    if not rows and is_id(ref):
        rows = database.read("SELECT id, spec FROM secrets WHERE id >= ? AND id < ? LIMIT 8", (ref, f"{ref}g"))
    if not rows:
        raise NoSuchSecret(ref)
    if len(rows) > 1:
        raise AmbiguousName(SECRET, ref, tuple(row[0] for row in rows))
    return parsed(*rows[0])


def all_secrets(database: Database) -> list[SecretSpec]:
    """Return every secret, by name."""
    return [parsed(*row) for row in database.read("SELECT id, spec FROM secrets ORDER BY name")]


def parsed(identifier: str, text: str) -> SecretSpec:
    """Return a secret from the ``to_json`` output of its specification. Raises StoreError when it is damaged."""
    return parse_value(SecretSpec, identifier, text, {})


def needed(database: Database) -> set[str]:
    """Return the ids of the secrets that exist or that a container uses."""
    rows = database.read("SELECT id FROM secrets UNION SELECT secret FROM container_secrets")
    return {identifier for (identifier,) in rows}


def unneeded(database: Database, identifiers: Iterable[str]) -> list[str]:
    """Return those of some secrets, sorted, that neither exist nor are used by a container."""
    known = needed(database)
    return sorted(set(identifiers) - known)
