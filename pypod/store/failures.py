"""What SQLite says, as errors of ours that tell what to do."""

from __future__ import annotations

import errno
import os

from pypod.errors import PermissionDenied, StoreError, SystemFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _sqlite3

# What SQLite says of a full disk: of the database or its log, of the index of the log, of making them.
WANTS_SPACE = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN")
_MAY_NOT_WRITE = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")
BEGIN_ANEW = "move it away with its -wal and -shm; pypod system check --repair brings back what was started"


def failure(path: str, error: _sqlite3.Error | UnicodeDecodeError) -> Exception:
    """Return the error of ours for one of SQLite's."""
    if isinstance(error, UnicodeDecodeError):
        text = f"{path}: the schema is damaged: it has a byte that is not UTF-8"
        return StoreError(path, text, hint=BEGIN_ANEW)
    name, text = name_of(error), f"{path}: {error}"
    if name.startswith(_MAY_NOT_WRITE):
        if is_read_only(path):
            hint = "the file system is read-only: give another with --root"
            return SystemFailure("write the database", errno.EROFS, text, hint=hint)
        hint = "run as root, or give a --root of your own"
        return PermissionDenied("open the database", f"cannot write {text}", hint=hint)
    hint = BEGIN_ANEW
    if name.startswith("SQLITE_BUSY"):
        hint = "another process holds it: try again"
    elif name.startswith(WANTS_SPACE):
        hint = "the disk is full or failing: free some space and try again"
    return StoreError(path, text, hint=hint)


def wants_space(error: StoreError) -> bool:
    """Return whether an error may come of a full disk."""
    return name_of(error.__cause__).startswith(WANTS_SPACE)


def name_of(error: BaseException | None) -> str:
    """Return the name of SQLite's result code, extended ones with what they extend as their beginning."""
    name = getattr(error, "sqlite_errorname", "")
    return name if isinstance(name, str) else ""


def is_read_only(path: str) -> bool:
    """Return whether a file, or the directory that it would be made in, is on a read-only file system."""
    for at in (path, os.path.dirname(path)):
        try:
            return bool(os.statvfs(at).f_flag & os.ST_RDONLY)
        except OSError:  # it is not there
            continue
    return False
