"""The database: connections and transactions. SQLite in WAL mode, in one file.

It stores what was asked for. The current state comes from the kernel; nothing here is ever "synchronised".
"""

from __future__ import annotations

# Only the C half: `import sqlite3` adds datetime and 2 ms to every shell command.
import _sqlite3
import os

from pypod.errors import PermissionDenied, StoreError
from pypod.store.failures import BEGIN_ANEW, WANTS_SPACE, failure, is_read_only, name_of, wants_space

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from sqlite3 import Connection
    from types import TracebackType
    from typing import Any

VERSION = 9  # the number of migrations in pypod/store/schema.py
BUSY_TIMEOUT_S = 30.0
RESERVE_BYTES = 1 << 18
_FREE_PAGES = 64  # fewer are not worth rewriting the rest
# A message that quotes a damaged schema may not be UTF-8: then Python raises this instead of SQLite's error.
_FAILURES = (_sqlite3.Error, UnicodeDecodeError)
_FILE_TYPE, _REGULAR = 0o170000, 0o100000  # S_IFMT and S_IFREG of inode(7)
_KINDS = {0o120000: "a symbolic link", 0o040000: "a directory", 0o010000: "a FIFO"}


class Database:
    """The database file at ``path``. Usable from any thread and after a fork; connections are opened as needed.

    Beside it lies a file that only reserves space; it is deleted when the disk is full and something is to be deleted.

    ``when_new`` is called in the transaction that creates the tables of an empty database. If it raises, the
    transaction is rolled back, so that a lost database is not mistaken for that of an empty storage.
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
        """Return all rows of a query. Bytes that are not UTF-8 are read as U+FFFD: one row does not hide the others."""
        with self.transaction(write=False) as connection:
            try:
                return connection.execute(statement, arguments).fetchall()
            except _sqlite3.OperationalError as error:
                if "decode to UTF-8" not in str(error):  # raised by Python itself, without a code
                    raise
                connection.text_factory = _marked
                try:
                    return connection.execute(statement, arguments).fetchall()
                finally:
                    connection.text_factory = str

    def delete(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> None:
        """Execute statements that shrink the database, in one transaction, even on a full disk."""
        try:
            self._execute(statements)
        except StoreError as error:
            if not wants_space(error) or not self._give_up_reserve():
                raise
            self._execute(statements)
            # The log is deleted with the last connection. Reserve its space before the disk fills up again.
            self.close()
            self._keeps_reserve = True
            self._keep_reserve()

    def _execute(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> None:
        with self.transaction() as connection, connection:
            for statement, arguments in statements:
                connection.execute(statement, arguments)

    def transaction(self, *, write: bool = True) -> Transaction:
        """Return a context with a connection: one transaction, committed at its end, rolled back on an exception.

        Enter the connection, too: ``with database.transaction() as connection, connection:``. A Ctrl-C can skip an
        ``__exit__`` written in Python (see engine/core/locks.py), which would lock everybody out; sqlite3's is in C.
        """
        return Transaction(self, write)

    def take(self) -> Connection:
        """Return a connection for exclusive use."""
        self._leave_to_parent()
        if self._idle and _identity(self.path) != self._file:  # deleted or replaced: others would not see our writes
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

    # Python warns about connections that are still open when they are garbage collected (3.13).
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
            raise failure(self.path, error) from error
        except _sqlite3.Error as error:
            problem = error
        # A reader, too, creates the log's index (-shm) when no other process has the database open. Where it cannot, it
        # may do without: when nothing can change, or when it locks out all others for a moment.
        wal = f"{self.path}-wal"
        try:
            if is_read_only(self.path) and not (os.path.exists(wal) and os.path.getsize(wal)):
                connection = _connect(f"file:{_quoted(self.path)}?immutable=1", uri=True)
            elif name_of(problem).startswith(WANTS_SPACE):
                connection = _connect(self.path, "PRAGMA locking_mode=EXCLUSIVE")
            else:
                raise problem
            connection = self._checked(connection)
        except _FAILURES as error:
            raise failure(self.path, error) from error
        self._keeps_open = False
        return connection

    def _require_plain_file(self) -> None:
        """Refuse anything but our own file: SQLite follows links, blocks on FIFOs, and reads what others wrote."""
        try:
            status = os.lstat(self.path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(self.path, f"{self.path}: {error.strerror}") from error
        if status.st_mode & _FILE_TYPE != _REGULAR:
            kind = _KINDS.get(status.st_mode & _FILE_TYPE, "not a file")
            raise StoreError(self.path, f"{self.path} is {kind}, not the database", hint=BEGIN_ANEW)
        wrong = ""
        if status.st_uid != os.geteuid():
            wrong = f"belongs to uid {status.st_uid}, not to uid {os.geteuid()}"
        elif status.st_mode & 0o022:
            wrong = f"can be written by others (mode {status.st_mode & 0o7777:04o})"
        if wrong:
            hint = f"chown or chmod it, if you trust its content, or {BEGIN_ANEW}"
            raise PermissionDenied("open the database", f"{self.path} {wrong}", hint=hint)

    def _checked(self, connection: Connection) -> Connection:
        try:
            self._keep_private()
            if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                from pypod.store.schema import migrate

                migrate(connection, self.path, self.when_new, BUSY_TIMEOUT_S)
            self._keep_reserve()
        except BaseException:
            connection.close()
            raise
        self._file = _identity(self.path)
        return connection

    def _keep_private(self) -> None:
        # Environment variables are secrets, and the directory may be searchable by others. SQLite gives its log and the
        # log's index the database's mode, so this comes before they are created.
        try:
            if os.stat(self.path).st_mode & 0o077:
                os.chmod(self.path, 0o600)
        except OSError:
            pass  # a read-only file system, or not ours: SQLite reports what fails

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
        self._keeps_reserve = False  # the space is needed: the next process to open the database reserves it again
        try:
            os.unlink(f"{self.path}.reserve")
        except OSError:
            return False
        return True

    def shrink(self) -> int:
        """Return unused pages to the file system; return the number of bytes.

        SQLite keeps them for reuse, but a pull or a thousand containers may have been a one-time peak.
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
            if wants_space(error) or name_of(error.__cause__).startswith("SQLITE_BUSY"):
                return 0  # VACUUM writes a copy first: another time
            raise


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


def _identity(path: str) -> tuple[int, int] | None:
    """Return a file's identity, to detect its replacement; None if it does not exist or was truncated."""
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status.st_size else None


def _marked(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _quoted(path: str) -> str:
    for character in "%?#":
        path = path.replace(character, f"%{ord(character):02x}")
    return path


# Connections of a parent process, kept referenced: their finaliser would release the parent's locks.
_lost: list[object] = []


class Transaction:
    """One transaction on its own connection."""

    def __init__(self, database: Database, write: bool) -> None:
        self._database = database
        self._write = write

    def __enter__(self) -> Connection:
        self._connection = self._database.take()
        try:
            if self._write:
                self._connection.execute("BEGIN IMMEDIATE")
        except BaseException as error:
            # Closed at once: while the traceback of a Ctrl-C references it, its transaction would lock out everybody.
            self._connection.close()
            if isinstance(error, _FAILURES):
                raise failure(self._database.path, error) from error
            raise
        return self._connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection = self._connection
        try:
            if connection.in_transaction:  # SQLite may have rolled it back already, as on a full disk
                connection.execute("COMMIT" if error is None else "ROLLBACK")
        except BaseException as problem:
            connection.close()
            if isinstance(problem, _FAILURES):
                raise failure(self._database.path, problem) from problem
            raise
        if isinstance(error, _FAILURES):
            connection.close()
            raise failure(self._database.path, error) from error
        self._database.give_back(connection)
