"""SQLite's errors as ours, with hints."""

from __future__ import annotations

import errno
import os

from pypod.errors import PermissionDenied, StoreError, SystemFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _sqlite3

# SQLite's errors on a full disk: for the database or its log, for the log's index, for creating them.
WANTS_SPACE = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN")
_MAY_NOT_WRITE = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")
BEGIN_ANEW = "move it away with its -wal and -shm; pypod system check --repair restores what was started"


def failure(path: str, error: _sqlite3.Error | UnicodeDecodeError) -> Exception:
    """Return our error for one of SQLite's."""
    if isinstance(error, UnicodeDecodeError):
        text = f"{path}: the schema is damaged: it contains a byte that is not UTF-8"
        return StoreError(path, text, hint=BEGIN_ANEW)
    name, text = name_of(error), f"{path}: {error}"
    if name.startswith(_MAY_NOT_WRITE):
        if is_read_only(path):
            hint = "the file system is read-only: choose another with --root"
            return SystemFailure("write the database", errno.EROFS, text, hint=hint)
        hint = "run as root, or use a --root of your own"
        return PermissionDenied("open the database", f"cannot write {text}", hint=hint)
    hint = BEGIN_ANEW
    if name.startswith("SQLITE_BUSY"):
        hint = "another process holds it: try again"
    elif name.startswith(WANTS_SPACE):
        hint = "the disk is full or failing: free some space and try again"
    return StoreError(path, text, hint=hint)


def wants_space(error: StoreError) -> bool:
    """Return whether an error may come from a full disk."""
    return name_of(error.__cause__).startswith(WANTS_SPACE)


def name_of(error: BaseException | None) -> str:
    """Return the name of SQLite's result code; extended codes begin with the name of the primary one."""
    name = getattr(error, "sqlite_errorname", "")
    return name if isinstance(name, str) else ""


def is_read_only(path: str) -> bool:
    """Return whether a file, or the directory it would be created in, is on a read-only file system."""
    for at in (path, os.path.dirname(path)):
        try:
            return bool(os.statvfs(at).f_flag & os.ST_RDONLY)
        except OSError:  # it does not exist
            continue
    return False
