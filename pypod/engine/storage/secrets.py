"""The content of secrets: a file each, readable only by their owner, kept until no container uses it, or a driver's.

A container keeps the content that a secret had when the container was created, whether it is replaced or removed.
"""

from __future__ import annotations

import os
import time

from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import SHARED, Lock
from pypod.engine.storage import secret_drivers, secret_files
from pypod.errors import NoSuchSecret, SystemFailure, Unsupported
from pypod.model.ids import new_id
from pypod.model.secret import BYTES_LIMIT, FILE_DRIVER, ID_DIGITS, SecretSpec, check_content, is_secret_id
from pypod.store import secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerSpec
    from pypod.model.secret import SecretUse


def create(
    context: Context,
    name: str,
    content: bytes,
    *,
    driver: str = FILE_DRIVER,
    options: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    replace: bool = False,
) -> SecretSpec:
    """Store a secret; see ``Secrets.create``."""
    asked = dict(options or {})
    secret_drivers.check(driver, asked)
    if driver == FILE_DRIVER and asked.setdefault("path", context.layout.secrets) != context.layout.secrets:
        hint = "choose another storage with --root"
        raise Unsupported("--driver-opts", f"the files of secrets are in {context.layout.secrets}", hint=hint)
    now_ns = time.time_ns()
    spec = SecretSpec(
        id=new_id()[:ID_DIGITS],
        name=name,
        created_ns=now_ns,
        updated_ns=now_ns,
        driver=driver,
        options=tuple(sorted(asked.items())),
        labels=tuple(sorted((labels or {}).items())),
    )
    check_content(content)
    with Boundary(f"create secret {name}"), Lock(context.layout.secrets, SHARED) as lock, lock:
        _store(context, spec, content)
        try:
            with context.database.transaction() as connection, connection:
                before, unused = _existing(context, name) if replace else None, False
                if before is not None:
                    spec = spec.replace(created_ns=before.created_ns)
                    secret_files.forget(context.layout, before.id)
                    unused = secrets.remove(connection, before.id)
                secrets.add(connection, spec)
                secret_files.keep(context.layout, spec)
        except BaseException:
            secret_files.forget(context.layout, spec.id)
            _delete(context, spec)
            raise
        if before is not None and (unused or before.driver != FILE_DRIVER):
            _delete(context, before)
    return spec


def _store(context: Context, spec: SecretSpec, content: bytes) -> None:
    if spec.driver == FILE_DRIVER:
        secret_files.write(context.layout.secrets, spec.id, content)
    else:
        secret_drivers.store(spec, content)


def _delete(context: Context, spec: SecretSpec) -> None:
    if spec.driver == FILE_DRIVER:
        secret_files.unlink(context.layout, spec.id)
    else:
        secret_drivers.delete(spec)


def _existing(context: Context, name: str) -> SecretSpec | None:
    try:
        found = secrets.find(context.database, name)
    except NoSuchSecret:
        return None
    return found if found.name == name else None


def content_of(context: Context, spec: SecretSpec) -> bytes:
    """Return the content of a secret. Raises SystemFailure when it is gone."""
    if spec.driver != FILE_DRIVER:
        return secret_drivers.lookup(spec)
    with Boundary(f"read secret {spec.name}"):
        file = secret_files.path(context.layout, spec.id)
        fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as content:
            return content.read(BYTES_LIMIT)


def remove(context: Context, spec: SecretSpec) -> None:
    """Remove a secret; containers that use it keep its content."""
    with Boundary(f"remove secret {spec.name}"), Lock(context.layout.secrets, SHARED) as lock, lock:
        if spec.driver != FILE_DRIVER:  # first: it may not be able to, and then the secret stays
            secret_drivers.delete(spec)
        secret_files.forget(context.layout, spec.id)
        with context.database.transaction() as connection, connection:
            is_unused = secrets.remove(connection, spec.id)
        if is_unused:
            secret_files.unlink(context.layout, spec.id)


def resolved(context: Context, uses: Iterable[SecretUse]) -> tuple[SecretUse, ...]:
    """Return uses with the ids of the secrets that they name; of two with the same target the later one counts.

    Raises NoSuchSecret, AmbiguousName, InvalidSpec.
    """
    found: dict[tuple[bool, str], SecretUse] = {}
    for asked in uses:
        use = asked.of(secrets.find(context.database, asked.name))
        found.pop((use.is_file, use.target), None)
        found[use.is_file, use.target] = use
    return tuple(found.values())


def copied(context: Context, spec: ContainerSpec) -> dict[str, bytes]:
    """Return the content of those of a new container's secrets that it is to have a copy of, by id."""
    identifiers = dict.fromkeys(use.secret_id for use in spec.secrets if use.copied)
    return {one: content_of(context, secrets.find(context.database, one)) for one in identifiers}


def keep_copies(context: Context, identifier: str, contents: Mapping[str, bytes]) -> None:
    """Write what ``copied`` returned to the directory of a new container. Raises OSError."""
    directory = _copies(context, identifier)
    if contents:
        os.makedirs(directory, 0o700)
    for secret_id, content in contents.items():
        secret_files.write(directory, secret_id, content)


def _copies(context: Context, identifier: str) -> str:
    return f"{context.layout.container(identifier)}/secrets"


def with_paths(context: Context, identifier: str, spec: ContainerSpec) -> tuple[tuple[str, SecretUse], ...]:
    """Return the secrets of a container with the path of each one's content."""
    places = context.layout.secrets, _copies(context, identifier)
    return tuple((f"{places[use.copied]}/{use.secret_id}", use) for use in spec.secrets if is_secret_id(use.secret_id))


def require_content(context: Context, identifier: str, spec: ContainerSpec) -> None:
    """Raise SystemFailure when the content of one of a container's secrets is missing."""
    is_new = not os.path.isdir(context.layout.container(identifier))  # it is explained, and has no copies
    for file, use in with_paths(context, identifier, spec):
        if not os.path.lexists(file) and not (is_new and use.copied):
            what = f"the content of secret {use.name} is missing: {file}"
            raise SystemFailure("read a secret", 2, what, hint="create the secret and the container again")


def delete_unneeded(context: Context, identifiers: Iterable[str]) -> None:
    """Delete the content of those of some secrets that neither exist nor are used any more."""
    kept = {one.id for one in secret_files.kept(context.layout)}  # they exist, though their rows may be lost
    for identifier in set(secrets.unneeded(context.database, identifiers)) - kept:
        secret_files.unlink(context.layout, identifier)
