"""The database: connections, transactions, migrations. SQLite in WAL mode, one file.

It remembers what was asked. What is, the kernel says; nothing here is ever "synchronised".
"""

from __future__ import annotations

# The C half alone: `import sqlite3` adds datetime and 2 ms to every shell command.
import _sqlite3
import os

from pypod.errors import PermissionDenied, StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from sqlite3 import Connection
    from types import TracebackType
    from typing import Any

BUSY_TIMEOUT_S = 30.0

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
)


class Database:
    """The database file at ``path``. Usable from any thread and after a fork; connections are opened as needed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._idle: list[Connection] = []
        self._pid = os.getpid()

    def read(self, statement: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with self.transaction(write=False) as connection:
            return connection.execute(statement, arguments).fetchall()

    def transaction(self, *, write: bool = True) -> Transaction:
        """Return a context with a connection: one transaction, committed at its end, undone by an exception."""
        return Transaction(self, write)

    def take(self) -> Connection:
        """Return a connection that nobody else uses."""
        if self._pid != os.getpid():
            # A connection must not be carried across a fork (sqlite.org/howtocorrupt.html, 2.6), nor closed there.
            _lost.append(self._idle)
            self._idle, self._pid = [], os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return self._open()

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next user."""
        if self._pid == os.getpid():
            self._idle.append(connection)

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle and self._pid == os.getpid():
            self._idle.pop().close()

    def _open(self) -> Connection:
        try:
            connection: Connection = _sqlite3.connect(
                self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA synchronous=NORMAL")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != len(MIGRATIONS):
                self._migrate(connection, version)
        except _sqlite3.Error as error:
            raise self.failure(error) from error
        return connection

    def _migrate(self, connection: Connection, version: int) -> None:
        if version > len(MIGRATIONS):
            raise StoreError(
                self.path,
                f"{self.path} is of a newer pypod (its layout is {version}, this one knows {len(MIGRATIONS)})",
                hint="use the newer pypod, or another --root",
            )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("BEGIN IMMEDIATE")
        # somebody else may have done it while we waited
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
        connection.execute("COMMIT")

    def failure(self, error: Exception) -> Exception:
        """Return the error of ours for one of SQLite's."""
        text = str(error)
        if "readonly" in text or "unable to open" in text:
            return PermissionDenied(
                "open the database",
                f"cannot write {self.path}: {text}",
                hint="run as root, or give a --root of your own",
            )
        hint = "free some space and try again" if "full" in text else f"move {self.path} away to begin anew"
        return StoreError(self.path, f"{self.path}: {text}", hint=hint)


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
        except _sqlite3.Error as error:
            self._connection.close()
            raise self._database.failure(error) from error
        return self._connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection = self._connection
        try:
            if self._write:
                connection.execute("COMMIT" if error is None else "ROLLBACK")
        except _sqlite3.Error as problem:
            connection.close()
            raise self._database.failure(problem) from problem
        if isinstance(error, _sqlite3.Error):
            connection.close()
            raise self._database.failure(error) from error
        self._database.give_back(connection)
