"""The database: connections, transactions, migrations. SQLite in WAL mode, one file.

It remembers what was asked. What is, the kernel says; nothing here is ever "synchronised".
"""

from __future__ import annotations

# The C half alone: `import sqlite3` adds datetime and 2 ms to every shell command.
import _sqlite3
import errno
import os
import time

from pypod.errors import PermissionDenied, StoreError, SystemFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from sqlite3 import Connection
    from types import TracebackType
    from typing import Any

BUSY_TIMEOUT_S = 30.0
RESERVE_BYTES = 1 << 18
_FREE_PAGES = 64  # fewer are not worth writing the rest anew
_RETRY_PAUSE_S = 0.01

# What SQLite says of a full disk: of the database or its log, of the index of the log, of making them.
_WANTS_SPACE = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN")
_MAY_NOT_WRITE = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")
# A message that quotes a damaged schema need not be UTF-8: then Python raises this instead of SQLite's error.
_FAILURES = (_sqlite3.Error, UnicodeDecodeError)
_FILE_TYPE, _REGULAR = 0o170000, 0o100000  # S_IFMT and S_IFREG of inode(7)
_KINDS = {0o120000: "a symbolic link", 0o040000: "a directory", 0o010000: "a FIFO"}
_BEGIN_ANEW = "move it away with its -wal and -shm; pypod system check --repair brings back what was started"


def _joined_namespaces(row: str, others: str = "") -> str:
    """SQL for whose namespaces a row of the table of containers asks to join, by the kind of namespace."""
    return f"""SELECT {row}.id, CASE key WHEN 'user_namespace' THEN 'user' ELSE key END, json_extract(value, '$.target')
        FROM {others}json_each({_whole_json(row)})
        WHERE CASE type WHEN 'object' THEN json_extract(value, '$.mode') END = 'container'"""  # noqa: S608


def _container_volumes(row: str, others: str = "") -> str:
    """SQL for the anonymous volumes that a row of the table of containers mounts."""
    return f"""SELECT {row}.id, json_extract(value, '$.source')
        FROM {others}json_each({_whole_json(row)}, '$.mounts')
        WHERE CASE type WHEN 'object' THEN json_extract(value, '$.type') END = 'volume'"""  # noqa: S608


def _whole_json(row: str) -> str:
    return f"CASE WHEN json_valid({row}.spec) THEN {row}.spec ELSE '{{}}' END"


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
        # What lists, removals and events ask of every container stands beside the specification: reading that costs
        # a hundred times as much. ``labels`` is a part of it as it is written there.
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
        f"INSERT OR IGNORE INTO joined_namespaces {_joined_namespaces('containers', 'containers, ')}",
        f"INSERT OR IGNORE INTO container_volumes {_container_volumes('containers', 'containers, ')}",
        f"""CREATE TRIGGER container_comes AFTER INSERT ON containers BEGIN
            INSERT OR IGNORE INTO joined_namespaces {_joined_namespaces("new")};
            INSERT OR IGNORE INTO container_volumes {_container_volumes("new")};
            END""",
        """CREATE TRIGGER container_goes AFTER DELETE ON containers BEGIN
            DELETE FROM joined_namespaces WHERE container_id = old.id;
            DELETE FROM container_volumes WHERE container_id = old.id;
            END""",
    ),
)


class Database:
    """The database file at ``path``. Usable from any thread and after a fork; connections are opened as needed.

    Beside it lies a file that only keeps space, given up when the disk is full and something is to be deleted.

    ``when_new`` is called in the transaction that makes the tables of a database that has none. What it raises undoes
    that, so that a database that was lost is not taken for one of a storage with nothing in it.
    """

    def __init__(self, path: str, when_new: Callable[[Connection], object] | None = None) -> None:
        self.path = path
        self.when_new = when_new
        self._file: tuple[int, int] | None = None
        self._idle: list[Connection] = []
        self._pid = os.getpid()
        self._keeps_open = True
        self._keeps_reserve = True

    def read(self, statement: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query. A byte of a text that is not UTF-8 is read as a mark: one row hides no other."""
        with self.transaction(write=False) as connection:
            try:
                return connection.execute(statement, arguments).fetchall()
            except _sqlite3.OperationalError as error:
                if "decode to UTF-8" not in str(error):  # of Python's own making: it has no code
                    raise
                connection.text_factory = _marked
                try:
                    return connection.execute(statement, arguments).fetchall()
                finally:
                    connection.text_factory = str

    def delete(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> None:
        """Execute statements that make the database smaller, in one transaction, on a full disk, too."""
        try:
            self._execute(statements)
        except StoreError as error:
            if not wants_space(error) or not self._give_up_reserve():
                raise
            self._execute(statements)
            # The log goes with the last connection. What it took is kept again before whoever filled the disk has it.
            self.close()
            self._keeps_reserve = True
            self._keep_reserve()

    def _execute(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> None:
        with self.transaction() as connection, connection:
            for statement, arguments in statements:
                connection.execute(statement, arguments)

    def transaction(self, *, write: bool = True) -> Transaction:
        """Return a context with a connection: one transaction, committed at its end, undone by an exception.

        Enter the connection, too: ``with database.transaction() as connection, connection:``. A control-C can skip an
        ``__exit__`` written in Python (see engine/core/locks.py) and would leave everybody locked out; sqlite3's is C.
        """
        return Transaction(self, write)

    def take(self) -> Connection:
        """Return a connection that nobody else uses."""
        self._leave_to_parent()
        if self._idle and _identity(self.path) != self._file:  # deleted or replaced: nobody else would see our writes
            self.close()
        try:
            return self._idle.pop()
        except IndexError:
            return self._open()

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next user."""
        if self._pid != os.getpid():
            _lost.append(connection)
        elif self._keeps_open:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close the idle connections."""
        self._leave_to_parent()
        while self._idle:
            self._idle.pop().close()

    # Python warns of connections that are open when nobody has them any more (3.13).
    __del__ = close

    def _leave_to_parent(self) -> None:
        if self._pid != os.getpid():
            # A connection must not be carried across a fork (sqlite.org/howtocorrupt.html, 2.6), nor closed there.
            _lost.append(self._idle)
            self._idle, self._pid = [], os.getpid()

    def _open(self) -> Connection:
        self._require_plain_file()
        try:
            return self._checked(_connect(self.path))
        except UnicodeDecodeError as error:
            raise self.failure(error) from error
        except _sqlite3.Error as error:
            problem = error
        # A reader, too, makes an index of the log (-shm) when nobody else has the database open. Where it cannot, it
        # may do without: when nothing can change, or when it keeps everybody else out for a moment.
        wal = f"{self.path}-wal"
        try:
            if _is_read_only(self.path) and not (os.path.exists(wal) and os.path.getsize(wal)):
                connection = _connect(f"file:{_quoted(self.path)}?immutable=1", uri=True)
            elif _name_of(problem).startswith(_WANTS_SPACE):
                connection = _connect(self.path, "PRAGMA locking_mode=EXCLUSIVE")
            else:
                raise problem
            connection = self._checked(connection)
        except _FAILURES as error:
            raise self.failure(error) from error
        self._keeps_open = False
        return connection

    def _require_plain_file(self) -> None:
        """Refuse what is no file of ours: SQLite follows a link, waits for a FIFO, and reads what others wrote."""
        try:
            status = os.lstat(self.path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(self.path, f"{self.path}: {error.strerror}") from error
        if status.st_mode & _FILE_TYPE != _REGULAR:
            kind = _KINDS.get(status.st_mode & _FILE_TYPE, "not a file")
            raise StoreError(self.path, f"{self.path} is {kind}, not the database", hint=_BEGIN_ANEW)
        wrong = ""
        if status.st_uid != os.geteuid():
            wrong = f"belongs to uid {status.st_uid}, not to uid {os.geteuid()}"
        elif status.st_mode & 0o022:
            wrong = f"can be written by others (mode {status.st_mode & 0o7777:04o})"
        if wrong:
            hint = f"chown or chmod it, if you trust what is in it, or {_BEGIN_ANEW}"
            raise PermissionDenied("open the database", f"{self.path} {wrong}", hint=hint)

    def _checked(self, connection: Connection) -> Connection:
        try:
            self._keep_private()
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != len(MIGRATIONS):
                self._migrate(connection, version)
            self._keep_reserve()
        except BaseException:
            connection.close()
            raise
        self._file = _identity(self.path)
        return connection

    def _migrate(self, connection: Connection, version: int) -> None:
        if version > len(MIGRATIONS):
            raise StoreError(
                self.path,
                f"{self.path} is of a newer pypod (its layout is {version}, this one knows {len(MIGRATIONS)})",
                hint="use the newer pypod, or another --root",
            )
        _use_write_ahead_log(connection)
        connection.execute("BEGIN IMMEDIATE")
        # somebody else may have done it while we waited
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        if version == 0 and self.when_new is not None:
            self.when_new(connection)
        connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
        connection.execute("COMMIT")

    def _keep_private(self) -> None:
        # Environment variables are secrets, and the directory can be passed through. SQLite gives its log and the
        # log's index the database's mode, so this comes before they are made.
        try:
            if os.stat(self.path).st_mode & 0o077:
                os.chmod(self.path, 0o600)
        except OSError:
            pass  # a read-only file system, or not ours: SQLite says what does not work

    def _keep_reserve(self) -> None:
        if not self._keeps_reserve:
            return
        path = f"{self.path}.reserve"
        try:
            if os.stat(path).st_size >= RESERVE_BYTES:
                return
        except OSError:
            pass
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            return
        try:
            os.posix_fallocate(fd, 0, RESERVE_BYTES)
        except OSError:
            self._give_up_reserve()
        finally:
            os.close(fd)

    def _give_up_reserve(self) -> bool:
        self._keeps_reserve = False  # what needs the space must find it: the next one to open keeps some again
        try:
            os.unlink(f"{self.path}.reserve")
        except OSError:
            return False
        return True

    def shrink(self) -> int:
        """Give pages that nothing is in any more back to the file system; return how many bytes that were.

        SQLite keeps them for what comes, but a pull or a thousand containers may have been the most there ever was.
        """
        try:
            with self.transaction(write=False) as connection:
                pages, free, size = (
                    connection.execute(f"PRAGMA {name}").fetchone()[0]
                    for name in ("page_count", "freelist_count", "page_size")
                )
                if free < _FREE_PAGES or free * 2 < pages:
                    return 0
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                return int((pages - connection.execute("PRAGMA page_count").fetchone()[0]) * size)
        except StoreError as error:
            if wants_space(error) or _name_of(error.__cause__).startswith("SQLITE_BUSY"):
                return 0  # it is written anew first: another time
            raise

    def failure(self, error: _sqlite3.Error | UnicodeDecodeError) -> Exception:
        """Return the error of ours for one of SQLite's."""
        if isinstance(error, UnicodeDecodeError):
            text = f"{self.path}: the schema is damaged: it has a byte that is not UTF-8"
            return StoreError(self.path, text, hint=_BEGIN_ANEW)
        name, text = _name_of(error), f"{self.path}: {error}"
        if name.startswith(_MAY_NOT_WRITE):
            if _is_read_only(self.path):
                hint = "the file system is read-only: give another with --root"
                return SystemFailure("write the database", errno.EROFS, text, hint=hint)
            hint = "run as root, or give a --root of your own"
            return PermissionDenied("open the database", f"cannot write {text}", hint=hint)
        hint = _BEGIN_ANEW
        if name.startswith("SQLITE_BUSY"):
            hint = "another process holds it: try again"
        elif name.startswith(_WANTS_SPACE):
            hint = "the disk is full or failing: free some space and try again"
        return StoreError(self.path, text, hint=hint)


def as_declared(row: tuple[Any, ...], types: tuple[type, ...]) -> tuple[Any, ...]:
    """Return a row with values of the types of its columns: a damaged byte can make anything of one.

    What is damaged is shown, stopped and removed like the rest (sqlite.org/fileformat2.html: serial types).
    """
    if tuple(map(type, row)) == types:
        return row
    return tuple(
        value if type(value) is kind else 0 if kind is int else "" if value is None else str(value)
        for value, kind in zip(row, types, strict=True)
    )


def wants_space(error: StoreError) -> bool:
    """Return whether an error may come of a full disk."""
    return _name_of(error.__cause__).startswith(_WANTS_SPACE)


def _connect(path: str, first: str = "", *, uri: bool = False) -> Connection:
    connection: Connection = _sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, uri=uri
    )
    try:
        for statement in filter(None, (first, "PRAGMA synchronous=NORMAL")):
            connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection


def _use_write_ahead_log(connection: Connection) -> None:
    # SQLite does not wait for others when it changes the mode (sqlite.org/c3ref/busy_handler.html: deadlocks).
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except _sqlite3.OperationalError as error:
            if not _name_of(error).startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_PAUSE_S)
        else:
            return


def _name_of(error: BaseException | None) -> str:
    """Return the name of SQLite's result code, extended ones with what they extend as their beginning."""
    name = getattr(error, "sqlite_errorname", "")
    return name if isinstance(name, str) else ""


def _identity(path: str) -> tuple[int, int] | None:
    """Return what tells a file from one that takes its place; None for one that is not there, or was emptied."""
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status.st_size else None


def _is_read_only(path: str) -> bool:
    for at in (path, os.path.dirname(path)):
        try:
            return bool(os.statvfs(at).f_flag & os.ST_RDONLY)
        except OSError:  # it is not there
            continue
    return False


def _marked(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _quoted(path: str) -> str:
    for character in "%?#":
        path = path.replace(character, f"%{ord(character):02x}")
    return path


# Connections of a parent process, kept referenced: their finaliser would release the parent's locks.
_lost: list[object] = []


class Transaction:
    """One transaction on a connection of its own."""

    def __init__(self, database: Database, write: bool) -> None:
        self._database = database
        self._write = write

    def __enter__(self) -> Connection:
        self._connection = self._database.take()
        try:
            if self._write:
                self._connection.execute("BEGIN IMMEDIATE")
        except BaseException as error:
            # Closed at once: while the traceback of a control-C holds it, its transaction would keep everybody out.
            self._connection.close()
            if isinstance(error, _FAILURES):
                raise self._database.failure(error) from error
            raise
        return self._connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection = self._connection
        try:
            if connection.in_transaction:  # SQLite may have undone it already, as it does on a full disk
                connection.execute("COMMIT" if error is None else "ROLLBACK")
        except BaseException as problem:
            connection.close()
            if isinstance(problem, _FAILURES):
                raise self._database.failure(problem) from problem
            raise
        if isinstance(error, _FAILURES):
            connection.close()
            raise self._database.failure(error) from error
        self._database.give_back(connection)
