"""Images, their names and their digests. Functions over a database; files are managed elsewhere."""

from __future__ import annotations

from pypod.errors import AmbiguousName, InUse, NoSuchImage
from pypod.model.ids import is_id
from pypod.model.value import Value
from pypod.store.rows import as_text, record_of, types_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from sqlite3 import Connection
    from typing import Any

    from pypod.store.database import Database


class ImageRecord(Value):
    """A row of the table of images. ``id`` is the hex digest of the configuration, ``chain`` the top layer's.

    A manifest list is an image, too, because of its names: it has neither configuration nor layers, its id is not a
    digest of anything, and ``manifest`` is its index.
    """

    id: str
    manifest: str
    chain: str
    created_ns: int
    size_bytes: int
    config: str

    @property
    def is_list(self) -> bool:
        """Whether it is a manifest list."""
        return not self.config


class Named(Value):
    """An image with the names and digests it is known by: NAME:TAG, and (repository, digest).

    The order of the names is podman's: those it was pulled as, the last one first, then those it was tagged as.

    An image that was pulled by its digest has the name NAME@DIGEST.
    """

    record: ImageRecord
    names: tuple[str, ...] = ()
    digests: tuple[tuple[str, str], ...] = ()

    @property
    def tags(self) -> tuple[str, ...]:
        """The names that have a tag."""
        return tuple(name for name in self.names if "@" not in name)

    @property
    def repo_digests(self) -> tuple[str, ...]:
        """NAME@DIGEST for every name: with the digests that registries know it by, or with its manifest's digest.

        As in podman, an image from an archive has the latter (containers/common: libimage, Image.RepoDigests).
        """
        found = []
        for name in self.names:
            repository = name.partition("@")[0] if "@" in name else name.rpartition(":")[0]
            known = [digest for where, digest in self.digests if where == repository]
            found += [f"{repository}@{digest}" for digest in known or [self.record.manifest]]
        return tuple(dict.fromkeys(found))


_IMAGE = "id, manifest, chain, created_ns, size_bytes, config"
_IN_ORDER = "ORDER BY number DESC, name"
_IMAGE_TYPES = types_of(ImageRecord, "created_ns", "size_bytes")


def image_of(row: tuple[Any, ...]) -> ImageRecord:
    """Return the record of a complete row of the table of images."""
    return record_of(ImageRecord, _IMAGE_TYPES, row)


def add_image(
    connection: Connection, record: ImageRecord, blobs: Iterable[str], digests: Iterable[tuple[str, str]] = ()
) -> None:
    """Insert an image, or add the missing blobs and digests to an existing one.

    Raises NoSuchImage when its layers have been removed meanwhile.
    """
    if record.chain and not connection.execute("SELECT 1 FROM layers WHERE chain = ?", (record.chain,)).fetchone():
        raise NoSuchImage(record.id)
    values = tuple(value for _, value in record.items())
    connection.execute(f"INSERT OR IGNORE INTO images ({_IMAGE}) VALUES (?,?,?,?,?,?)", values)  # noqa: S608
    connection.executemany("INSERT OR IGNORE INTO image_blobs VALUES (?,?)", [(record.id, one) for one in blobs])
    connection.executemany(
        "INSERT OR REPLACE INTO image_digests VALUES (?,?,?)", [(*one, record.id) for one in digests]
    )


def has_image(
    database: Database,
    record: ImageRecord,
    blobs: Iterable[str],
    digests: Iterable[tuple[str, str]],
    names: Sequence[str],
) -> bool:
    """Return whether adding an image and bringing it these names would change nothing."""
    try:
        known = named(database, record.id)
    except NoSuchImage:
        return False
    rows = database.read("SELECT digest FROM image_blobs WHERE image_id = ?", (record.id,))
    return (
        {row[0] for row in rows}.issuperset(blobs)
        and set(known.digests).issuperset(digests)
        and known.names[: len(names)] == tuple(reversed(names))
    )


def add_digest(connection: Connection, identifier: str, repository: str, digest: str) -> None:
    """Remember that a repository knows an image by a digest."""
    connection.execute("INSERT OR REPLACE INTO image_digests VALUES (?,?,?)", (repository, digest, identifier))


def tag(connection: Connection, identifier: str, name: str) -> None:
    """Give an image a name, after its other ones, unless it has it already; the previous holder loses it."""
    _require(connection, identifier)
    last = "(SELECT COALESCE(MIN(number), 0) - 1 FROM image_names)"
    statement = f"""INSERT INTO image_names VALUES (?,?,{last}) ON CONFLICT (name) DO UPDATE
        SET image_id = excluded.image_id, number = excluded.number WHERE image_id != excluded.image_id"""  # noqa: S608
    connection.execute(statement, (name, identifier))


def bring_name(connection: Connection, identifier: str, name: str) -> None:
    """Give an image the name that it came with, before its other ones; the previous holder loses it."""
    _require(connection, identifier)
    first = "(SELECT COALESCE(MAX(number), 0) + 1 FROM image_names)"
    connection.execute(f"INSERT OR REPLACE INTO image_names VALUES (?,?,{first})", (name, identifier))  # noqa: S608


def _require(connection: Connection, identifier: str) -> None:
    if not connection.execute("SELECT 1 FROM images WHERE id = ?", (identifier,)).fetchone():
        raise NoSuchImage(identifier)


def untag(database: Database, identifier: str, names: Iterable[str]) -> None:
    """Remove names from an image, even on a full disk."""
    database.delete([("DELETE FROM image_names WHERE name = ? AND image_id = ?", (one, identifier)) for one in names])


def all_images(database: Database) -> list[Named]:
    """Return every image, newest first."""
    with database.transaction(write=False) as connection:
        records = connection.execute(f"SELECT {_IMAGE} FROM images ORDER BY created_ns DESC, id").fetchall()  # noqa: S608
        names = connection.execute(f"SELECT image_id, name FROM image_names {_IN_ORDER}").fetchall()  # noqa: S608
        digests = connection.execute("SELECT image_id, repository, digest FROM image_digests").fetchall()
    by_id: dict[str, tuple[list[str], list[tuple[str, str]]]] = {row[0]: ([], []) for row in records}
    for identifier, name in names:
        if identifier in by_id:  # else one of them is damaged
            by_id[identifier][0].append(as_text(name))
    for identifier, repository, digest in digests:
        if identifier in by_id:
            by_id[identifier][1].append((as_text(repository), as_text(digest)))
    return [
        Named(record=image_of(row), names=tuple(by_id[row[0]][0]), digests=tuple(by_id[row[0]][1])) for row in records
    ]


def named(database: Database, identifier: str) -> Named:
    """Return an image by its full id. Raises NoSuchImage."""
    rows = database.read(f"SELECT {_IMAGE} FROM images WHERE id = ?", (identifier,))  # noqa: S608
    if not rows:
        raise NoSuchImage(identifier)
    names = database.read(f"SELECT name FROM image_names WHERE image_id = ? {_IN_ORDER}", (identifier,))  # noqa: S608
    digests = database.read("SELECT repository, digest FROM image_digests WHERE image_id = ?", (identifier,))
    return Named(
        record=image_of(rows[0]),
        names=tuple(as_text(row[0]) for row in names),
        digests=tuple((as_text(row[0]), as_text(row[1])) for row in digests),
    )


def given_names(database: Database, image_id: str = "") -> dict[str, list[str]]:
    """Return the names that each image, or one of them, ever had, those given last first."""
    only = "WHERE image_id = ?" if image_id else ""
    statement = f"SELECT image_id, name FROM given_names {only} ORDER BY number DESC"  # noqa: S608
    found: dict[str, list[str]] = {}
    for identifier, name in database.read(statement, (image_id,) if image_id else ()):
        found.setdefault(identifier, []).append(name)
    return found


def with_past_names(names: Sequence[str], given: Iterable[str]) -> tuple[str, ...]:
    """Return an image's names, the newest first, followed by those among ``given`` that it has no more."""
    current = tuple(reversed(names))
    return (*current, *(name for name in given if name not in current))


def standing_on(database: Database, identifier: str) -> list[ImageRecord]:
    """Return the other images that have all the layers of an image and at most one more."""
    statement = f"""SELECT {_IMAGE} FROM images WHERE id != ?1 AND config != '' AND EXISTS (
        SELECT 1 FROM images parent WHERE parent.id = ?1 AND parent.config != '' AND (images.chain = parent.chain
        OR images.chain IN (SELECT chain FROM layers WHERE parent = parent.chain AND parent.chain != '')))"""  # noqa: S608
    return [image_of(row) for row in database.read(statement, (identifier,))]


def stood_on(database: Database, identifier: str) -> list[ImageRecord]:
    """Return the other images that have all the layers of an image, or all but its topmost."""
    statement = f"""SELECT {_IMAGE} FROM images WHERE id != ?1 AND config != '' AND EXISTS (
        SELECT 1 FROM images child WHERE child.id = ?1 AND child.config != '' AND (images.chain = child.chain
        OR images.chain IN (SELECT parent FROM layers WHERE chain = child.chain AND parent != '')))"""  # noqa: S608
    return [image_of(row) for row in database.read(statement, (identifier,))]


def digest_of(database: Database, identifier: str) -> str:
    """Return the digest of an image's manifest, empty when it was removed."""
    rows = database.read("SELECT manifest FROM images WHERE id = ?", (identifier,))
    return str(rows[0][0]) if rows else ""


def exists(database: Database, identifier: str) -> bool:
    """Return whether an image with this full id exists."""
    return bool(database.read("SELECT 1 FROM images WHERE id = ?", (identifier,)))


def is_there(connection: Connection, identifier: str) -> bool:
    """Return whether an image with this full id exists."""
    return bool(connection.execute("SELECT 1 FROM images WHERE id = ?", (identifier,)).fetchone())


def holder_of(connection: Connection, name: str) -> str:
    """Return the id of the image that has a name, or an empty string."""
    row = connection.execute("SELECT image_id FROM image_names WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row else ""


def is_list(database: Database, identifier: str) -> bool:
    """Return whether an id is that of a manifest list."""
    return bool(database.read("SELECT 1 FROM images WHERE id = ? AND config = ''", (identifier,)))


def find_by_name(database: Database, names: Iterable[str]) -> str:
    """Return the id of the image with the first of these names that is taken, or an empty string."""
    for name in names:
        rows = database.read("SELECT image_id FROM image_names WHERE name = ?", (name,))
        if rows:
            return str(rows[0][0])
    return ""


def find_by_suffix(database: Database, suffix: str) -> tuple[str, str] | None:
    """Return id and name of an image with a name that ends in ``/suffix``, or None."""
    pattern = "%/" + suffix.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    statement = "SELECT image_id, name FROM image_names WHERE name LIKE ? ESCAPE '!' ORDER BY name LIMIT 1"
    rows = database.read(statement, (pattern,))
    return (as_text(rows[0][0]), as_text(rows[0][1])) if rows else None


def find_by_digest(database: Database, repository: str, digest: str) -> str:
    """Return the id of the image with that digest in a repository, or with that manifest and a name there."""
    statement = """SELECT image_id FROM image_digests WHERE repository = ?1 AND digest = ?2
        UNION ALL SELECT id FROM images JOIN image_names ON image_id = id
        WHERE manifest = ?2 AND substr(name, 1, length(?1) + 1) = ?1 || ':'"""
    rows = database.read(statement, (repository, digest))
    return str(rows[0][0]) if rows else ""


def find_by_manifest(database: Database, digest: str) -> str:
    """Return the id of an image with that manifest, not a list, or an empty string."""
    rows = database.read("SELECT id FROM images WHERE manifest = ? AND config != '' LIMIT 1", (digest,))
    return str(rows[0][0]) if rows else ""


def find_by_id(database: Database, prefix: str) -> str:
    """Return the id that begins with ``prefix``, or an empty string. Raises AmbiguousName."""
    prefix = prefix.removeprefix("sha256:")
    if not is_id(prefix):
        return ""
    rows = database.read("SELECT id FROM images WHERE id >= ? AND id < ? LIMIT 8", (prefix, f"{prefix}g"))
    if len(rows) > 1:
        raise AmbiguousName("image", prefix, tuple(row[0] for row in rows))
    return str(rows[0][0]) if rows else ""


def users_of(connection: Connection, identifier: str) -> list[tuple[str, str]]:
    """Return (id, name) of the containers that were created from an image."""
    return connection.execute(
        "SELECT id, name FROM containers WHERE image_id = ? ORDER BY created_ns", (identifier,)
    ).fetchall()


def container_counts(database: Database) -> dict[str, int]:
    """Return the number of containers per image; images without containers are left out."""
    rows = database.read("SELECT image_id, COUNT(*) FROM containers WHERE image_id != '' GROUP BY image_id")
    return {row[0]: row[1] for row in rows}


def remove_image(database: Database, identifier: str) -> None:
    """Delete an image with its names, even on a full disk.

    Raises InUse when a container was created from it, NoSuchImage when it does not exist.
    """
    named(database, identifier)
    unless_used = "AND NOT EXISTS (SELECT 1 FROM containers WHERE image_id = ?)"
    unless_there = "AND NOT EXISTS (SELECT 1 FROM images WHERE id = ?)"
    both = (identifier, identifier)
    database.delete(
        [
            (f"DELETE FROM images WHERE id = ? {unless_used}", both),  # noqa: S608
            *(
                (f"DELETE FROM {table} WHERE image_id = ? {unless_there}", both)  # noqa: S608
                for table in ("image_names", "given_names", "image_digests", "image_blobs", "list_members")
            ),
        ]
    )
    _refuse_used(database, identifier)


def _refuse_used(database: Database, identifier: str) -> None:
    users = database.read("SELECT id FROM containers WHERE image_id = ? ORDER BY created_ns", (identifier,))
    if users:
        raise InUse(
            identifier,
            f"image used by {users[0][0]}: image is in use by a container",
            hint="remove the container, or force the removal of both",
        )


def used_blobs(database: Database) -> set[str]:
    """Return the digests of all blobs that any image needs."""
    return {row[0] for row in database.read("SELECT DISTINCT digest FROM image_blobs")}


def blobs_only_of(database: Database, identifier: str) -> list[str]:
    """Return the digests of the blobs that no other image needs. Raises InUse when the image has containers."""
    _refuse_used(database, identifier)
    statement = """SELECT digest FROM image_blobs WHERE image_id = ?1
        AND digest NOT IN (SELECT digest FROM image_blobs WHERE image_id != ?1)"""
    rows = database.read(statement, (identifier,))
    return [row[0] for row in rows]
