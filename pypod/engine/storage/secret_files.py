"""The files of secrets: the content of each, and a copy of its record, from which a lost database is restored.

The copy is written with the row and deleted before it. So content with a copy but no row belongs to a secret whose
record was lost, and content with neither, unless a container uses it, to a creation or a removal that was interrupted.
"""

from __future__ import annotations

import os

from pypod.engine.core.locks import EXCLUSIVE, Lock
from pypod.engine.core.lost_records import SECRET_RECORD
from pypod.errors import PypodError, StoreError
from pypod.images.new_file import write_file
from pypod.kernel.descriptors import read_file
from pypod.model.secret import SecretSpec, is_secret_id
from pypod.store import secrets
from pypod.store.rows import to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from sqlite3 import Connection

    from pypod.engine.core.context import Context
    from pypod.engine.core.layout import Layout

_BYTES_LIMIT = 1 << 24


def path(layout: Layout, identifier: str) -> str:
    """Return the path of a secret's content."""
    return f"{layout.secrets}/{identifier}"


def write(directory: str, name: str, content: bytes) -> None:
    """Write a new file that only its owner can read."""
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        write_file(fd, name, [content], 0o600)
    finally:
        os.close(fd)


def unlink(layout: Layout, identifier: str) -> None:
    """Delete the content of a secret, if it has a file."""
    if is_secret_id(identifier):
        _unlink(path(layout, identifier))


def keep(layout: Layout, spec: SecretSpec) -> None:
    """Write the copy of a secret's record."""
    write(layout.secrets, f"{spec.id}{SECRET_RECORD}", to_json(spec).encode())


def forget(layout: Layout, identifier: str) -> None:
    """Delete the copy of the record of a secret that is being removed. Raises OSError."""
    _unlink(f"{path(layout, identifier)}{SECRET_RECORD}")


def _unlink(file: str) -> None:
    try:
        os.unlink(file)
    except FileNotFoundError:
        return


def _there(layout: Layout) -> list[str]:
    try:
        return sorted(os.listdir(layout.secrets))
    except FileNotFoundError:
        return []


def kept(layout: Layout) -> list[SecretSpec]:
    """Return the secrets of which there are copies of the records."""
    names = [name.removesuffix(SECRET_RECORD) for name in _there(layout) if name.endswith(SECRET_RECORD)]
    return [_kept(layout, name) for name in names if is_secret_id(name)]


def _kept(layout: Layout, identifier: str) -> SecretSpec:
    """Return the copy of a record; one with defaults if it is damaged: the content is not."""
    file = f"{path(layout, identifier)}{SECRET_RECORD}"
    try:
        spec = secrets.parsed(identifier, read_file(file, _BYTES_LIMIT).decode())
        if spec.id == identifier:
            return spec
    except (OSError, UnicodeDecodeError, StoreError):
        pass
    now_ns = os.lstat(file).st_mtime_ns
    return SecretSpec(id=identifier, name=f"secret_{identifier[:12]}", created_ns=now_ns, updated_ns=now_ns)


def lost(context: Context) -> list[SecretSpec]:
    """Return the secrets whose record was lost; all of them when the store cannot be read."""
    there = kept(context.layout)
    try:
        known = {one.id for one in secrets.all_secrets(context.database)} if there else set()
    except PypodError:
        return there
    return [one for one in there if one.id not in known]


def restore(context: Context) -> list[str]:
    """Insert the rows of secrets that lack them, and copy those without a copy; return messages about what was done."""
    if not _there(context.layout):
        return []
    with Lock(context.layout.secrets, EXCLUSIVE) as lock, lock:
        found = lost(context)
        with context.database.transaction() as connection, connection:
            done = _insert(connection, found)
        copied = {one.id for one in kept(context.layout)}
        for spec in secrets.all_secrets(context.database):
            if spec.id not in copied:
                keep(context.layout, spec)
    return done


def restore_all(layout: Layout, connection: Connection) -> list[str]:
    """Insert the rows of all secrets into a new database; return messages about what was done."""
    return _insert(connection, kept(layout))


def _insert(connection: Connection, found: Iterable[SecretSpec]) -> list[str]:
    done = []
    for spec in found:
        name = secrets.restore(connection, spec)
        renamed = f" as {name}: its name was taken meanwhile" if name != spec.name else ""
        done.append(f"brought back the record of secret {spec.name}{renamed}")
    return done


def orphans(context: Context) -> list[str]:
    """Return the files of secrets that neither exist nor are used: a crash left them."""
    there = _there(context.layout)
    known = secrets.needed(context.database) if there else set()
    known |= {one.id for one in kept(context.layout)}
    return [path(context.layout, name) for name in there if name.removesuffix(SECRET_RECORD) not in known]


def sweep(context: Context) -> list[str]:
    """Delete the files that a crash left; return their paths."""
    if not os.path.isdir(context.layout.secrets):
        return []
    with Lock(context.layout.secrets, EXCLUSIVE) as lock, lock:
        found = orphans(context)
        for file in found:
            os.unlink(file)
    return found
