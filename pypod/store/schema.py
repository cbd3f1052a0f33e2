"""The tables, as migrations: the changes of each version. An older database runs through those that it lacks."""

from __future__ import annotations

import _sqlite3
import time

from pypod.errors import StoreError
from pypod.store.failures import name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from sqlite3 import Connection

_RETRY_PAUSE_S = 0.01


def _joined_namespaces(row: str, spec: str, others: str = "") -> str:
    """Return SQL for the containers whose namespaces a row of the table of containers joins, by kind of namespace."""
    return f"""SELECT {row}.id, CASE key WHEN 'user_namespace' THEN 'user' ELSE key END, json_extract(value, '$.target')
        FROM {others}json_each({spec})
        WHERE CASE type WHEN 'object' THEN json_extract(value, '$.mode') END = 'container'"""  # noqa: S608


def _container_volumes(row: str, spec: str, others: str = "") -> str:
    """Return SQL for the volumes that a row of the table of containers mounts."""
    return f"""SELECT {row}.id, json_extract(value, '$.source')
        FROM {others}json_each({spec}, '$.mounts')
        WHERE CASE type WHEN 'object' THEN json_extract(value, '$.type') END = 'volume'"""  # noqa: S608


# A damaged specification counts as empty. CASE, because SQLite may evaluate a condition after what it should guard.
_OLD_SPEC = "CASE WHEN json_valid(containers.spec) THEN containers.spec ELSE '{}' END"

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE names (name TEXT PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE pods (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, created_ns INTEGER NOT NULL, infra_id TEXT NOT NULL,
            owner TEXT NOT NULL, spec TEXT NOT NULL) WITHOUT ROWID""",
        """CREATE TABLE containers (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, pod_id TEXT NOT NULL,
            created_ns INTEGER NOT NULL, image TEXT NOT NULL, command TEXT NOT NULL, cgroup TEXT NOT NULL,
            remove INTEGER NOT NULL, owner TEXT NOT NULL, spec TEXT NOT NULL) WITHOUT ROWID""",
        "CREATE INDEX containers_of_pod ON containers (pod_id)",
    ),
    (
        "ALTER TABLE containers ADD COLUMN image_id TEXT NOT NULL DEFAULT ''",
        """CREATE TABLE images (
            id TEXT PRIMARY KEY, manifest TEXT NOT NULL, chain TEXT NOT NULL, created_ns INTEGER NOT NULL,
            size_bytes INTEGER NOT NULL, config TEXT NOT NULL) WITHOUT ROWID""",
        "CREATE TABLE image_names (name TEXT PRIMARY KEY, image_id TEXT NOT NULL) WITHOUT ROWID",
        "CREATE INDEX names_of_image ON image_names (image_id)",
        """CREATE TABLE image_digests (
            repository TEXT NOT NULL, digest TEXT NOT NULL, image_id TEXT NOT NULL,
            PRIMARY KEY (repository, digest)) WITHOUT ROWID""",
        """CREATE TABLE image_blobs (
            image_id TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (image_id, digest)) WITHOUT ROWID""",
        """CREATE TABLE layers (
            chain TEXT PRIMARY KEY, parent TEXT NOT NULL, diff_id TEXT NOT NULL, directory TEXT NOT NULL,
            size_bytes INTEGER NOT NULL, opaque INTEGER NOT NULL) WITHOUT ROWID""",
    ),
    (
        """CREATE TABLE list_members (
            image_id TEXT NOT NULL, digest TEXT NOT NULL, source TEXT NOT NULL,
            PRIMARY KEY (image_id, digest)) WITHOUT ROWID""",
        "ALTER TABLE image_names ADD COLUMN number INTEGER NOT NULL DEFAULT 0",
    ),
    (
        "CREATE TABLE networks (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, spec TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE connections (
            container_id TEXT NOT NULL, network_id TEXT NOT NULL, position INTEGER NOT NULL, asked TEXT NOT NULL,
            attachment TEXT NOT NULL, PRIMARY KEY (container_id, network_id)) WITHOUT ROWID""",
        "CREATE INDEX connections_to_network ON connections (network_id)",
        """CREATE TABLE addresses (
            network_id TEXT NOT NULL, address TEXT NOT NULL, container_id TEXT NOT NULL,
            PRIMARY KEY (network_id, address)) WITHOUT ROWID""",
        "CREATE INDEX addresses_of_container ON addresses (container_id)",
        """CREATE TABLE last_addresses (
            network_id TEXT NOT NULL, first TEXT NOT NULL, address TEXT NOT NULL,
            PRIMARY KEY (network_id, first)) WITHOUT ROWID""",
        """CREATE TRIGGER container_disconnects AFTER DELETE ON containers BEGIN
            DELETE FROM addresses WHERE container_id = old.id; DELETE FROM connections WHERE container_id = old.id;
            END""",
        """CREATE TRIGGER network_goes AFTER DELETE ON networks BEGIN
            DELETE FROM last_addresses WHERE network_id = old.id; DELETE FROM addresses WHERE network_id = old.id;
            END""",
    ),
    (
        # What lists, removals and events need of every container stands beside the specification: reading that takes
        # a hundred times as long. ``labels`` is a part of it, verbatim.
        *(
            f"ALTER TABLE {table} ADD COLUMN {column}"
            for table in ("pods", "containers")
            for column in (
                "labels TEXT NOT NULL DEFAULT '[]'",
                "publishes_ports INTEGER NOT NULL DEFAULT 0",
                "has_auto_ids INTEGER NOT NULL DEFAULT 0",
            )
        ),
        "ALTER TABLE containers ADD COLUMN has_healthcheck INTEGER NOT NULL DEFAULT 0",
        *(
            f"""UPDATE {table} SET
                labels = CASE json_type(spec, '$.labels')
                    WHEN 'array' THEN json_extract(spec, '$.labels') ELSE '[]' END,
                publishes_ports = coalesce(json_array_length(spec, '$.ports') > 0, 0),
                has_auto_ids = coalesce(json_extract(spec, '$.user_namespace.mode') = 'auto', 0)
                WHERE json_valid(spec)"""  # noqa: S608
            for table in ("pods", "containers")
        ),
        """UPDATE containers SET has_healthcheck = coalesce(json_type(spec, '$.healthcheck') = 'object', 0)
            WHERE json_valid(spec)""",
        """CREATE TABLE joined_namespaces (
            container_id TEXT NOT NULL, kind TEXT NOT NULL, target_id TEXT NOT NULL,
            PRIMARY KEY (container_id, kind)) WITHOUT ROWID""",
        "CREATE INDEX joined_namespaces_of_target ON joined_namespaces (target_id)",
        """CREATE TABLE container_volumes (
            container_id TEXT NOT NULL, volume TEXT NOT NULL, PRIMARY KEY (container_id, volume)) WITHOUT ROWID""",
        "CREATE INDEX containers_of_volume ON container_volumes (volume)",
        f"INSERT OR IGNORE INTO joined_namespaces {_joined_namespaces('containers', _OLD_SPEC, 'containers, ')}",
        f"INSERT OR IGNORE INTO container_volumes {_container_volumes('containers', _OLD_SPEC, 'containers, ')}",
        # Few have either, and searching for the words takes half as long as parsing the specification.
        f"""CREATE TRIGGER container_comes AFTER INSERT ON containers
            WHEN (instr(new.spec, '"container"') OR instr(new.spec, '"volume"')) AND json_valid(new.spec) BEGIN
            INSERT OR IGNORE INTO joined_namespaces {_joined_namespaces("new", "new.spec")};
            INSERT OR IGNORE INTO container_volumes {_container_volumes("new", "new.spec")};
            END""",
        """CREATE TRIGGER container_goes AFTER DELETE ON containers BEGIN
            DELETE FROM joined_namespaces WHERE container_id = old.id;
            DELETE FROM container_volumes WHERE container_id = old.id;
            END""",
    ),
    (
        "CREATE TABLE secrets (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, spec TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE container_secrets (
            container_id TEXT NOT NULL, secret TEXT NOT NULL, PRIMARY KEY (container_id, secret)) WITHOUT ROWID""",
        "CREATE INDEX containers_of_secret ON container_secrets (secret)",
        """CREATE TRIGGER container_comes_with_secrets AFTER INSERT ON containers
            WHEN instr(new.spec, '"secret_id"') AND json_valid(new.spec) BEGIN
            INSERT OR IGNORE INTO container_secrets SELECT new.id, json_extract(value, '$.secret_id')
                FROM json_each(new.spec, '$.secrets')
                WHERE CASE type WHEN 'object' THEN json_type(value, '$.secret_id') END = 'text';
            END""",
        """CREATE TRIGGER container_goes_with_secrets AFTER DELETE ON containers BEGIN
            DELETE FROM container_secrets WHERE container_id = old.id;
            END""",
    ),
    (
        # The names that an image ever had. Removing a name changes nothing here: that must work on a full disk.
        """CREATE TABLE given_names (
            image_id TEXT NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL,
            PRIMARY KEY (image_id, name)) WITHOUT ROWID""",
        "INSERT INTO given_names SELECT image_id, name, number FROM image_names",
        *(
            f"""CREATE TRIGGER name_{when} AFTER {what} ON image_names BEGIN
            INSERT OR REPLACE INTO given_names
                VALUES (new.image_id, new.name, (SELECT COALESCE(MAX(number), 0) + 1 FROM given_names));
            END"""  # noqa: S608
            for when, what in (("comes", "INSERT"), ("moves", "UPDATE OF image_id"))
        ),
    ),
    (
        # ``data`` is the place of the files in the volume's directory: older anonymous volumes are that directory.
        """CREATE TABLE volumes (
            name TEXT PRIMARY KEY, driver TEXT NOT NULL, created_ns INTEGER NOT NULL, anonymous INTEGER NOT NULL,
            labels TEXT NOT NULL, options TEXT NOT NULL, data TEXT NOT NULL, needs_copy INTEGER NOT NULL,
            needs_owner INTEGER NOT NULL, mounts TEXT NOT NULL) WITHOUT ROWID""",
        """INSERT INTO volumes
            SELECT volume, 'local', min(created_ns), 1, '[]', '[]', '', 1, 1, ''
            FROM container_volumes JOIN containers ON containers.id = container_id GROUP BY volume""",
    ),
    (
        """CREATE TABLE container_requirements (
            container_id TEXT NOT NULL, target_id TEXT NOT NULL,
            PRIMARY KEY (container_id, target_id)) WITHOUT ROWID""",
        "CREATE INDEX containers_that_require ON container_requirements (target_id)",
        """CREATE TRIGGER container_comes_with_requirements AFTER INSERT ON containers
            WHEN instr(new.spec, '"requires"') AND json_valid(new.spec) BEGIN
            INSERT OR IGNORE INTO container_requirements SELECT new.id, value FROM json_each(new.spec, '$.requires')
                WHERE type = 'text';
            END""",
        """CREATE TRIGGER container_goes_with_requirements AFTER DELETE ON containers BEGIN
            DELETE FROM container_requirements WHERE container_id = old.id;
            END""",
    ),
)


def migrate(
    connection: Connection, path: str, when_new: Callable[[Connection], object] | None, timeout_s: float
) -> None:
    """Migrate a database to this pypod's version; ``when_new`` is called in the transaction that creates a new one.

    Raises StoreError for a database of a newer pypod.
    """
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise StoreError(
            path,
            f"{path} was written by a newer pypod (its layout is {version}, this pypod knows {len(MIGRATIONS)})",
            hint="use the newer pypod, or another --root",
        )
    _use_write_ahead_log(connection, timeout_s)
    connection.execute("BEGIN IMMEDIATE")
    version = _version(connection)  # another process may have migrated it while we waited
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    if version == 0 and when_new is not None:
        when_new(connection)
    connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
    connection.execute("COMMIT")


def _version(connection: Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _use_write_ahead_log(connection: Connection, timeout_s: float) -> None:
    # SQLite does not wait for other processes when it changes the mode (sqlite.org/c3ref/busy_handler.html: deadlocks).
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except _sqlite3.OperationalError as error:
            if not name_of(error).startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_PAUSE_S)
        else:
            return
