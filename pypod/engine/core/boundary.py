"""The boundary where failures of the system become errors of pypod: wrapped once around each verb of the engine.

Directories nested as deep as a path can be long (some 2,000 levels) exceed Python's recursion limit. That counts as a
failure of the system as well, because an image can contain such a tree.
"""

from __future__ import annotations

import errno

from pypod.errors import PermissionDenied, PypodError, SystemFailure, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_HINTS = {
    errno.ENOSPC: "the disk is full: free some space (pypod rm and pypod pod rm work without any)",
    errno.EDQUOT: "the quota is used up",
    errno.EROFS: "the file system is read-only: choose another place with --root",
    errno.EMFILE: "too many open files in this process",
    errno.ENFILE: "too many open files on this host",
    errno.ENOMEM: "not enough memory",
}


class Boundary:
    """``with Boundary("start the container"):`` turns an OSError into an error of pypod naming that operation."""

    __slots__ = ("operation",)

    def __init__(self, operation: str) -> None:
        self.operation = operation

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, RecursionError):
            what = f"{self.operation}: directories are nested too deeply"
            raise SystemFailure(self.operation, errno.ELOOP, what) from error
        if not isinstance(error, OSError) or isinstance(error, PypodError):
            return
        what = f"{self.operation}: {error.filename + ': ' if error.filename else ''}{error.strerror or error}"
        if error.errno in (errno.EPERM, errno.EACCES):
            raise PermissionDenied(self.operation, what, hint="this needs root") from error
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP):
            raise Unsupported(self.operation, what, hint="pypod system check shows what this host supports") from error
        raise SystemFailure(self.operation, error.errno or 0, what, hint=_HINTS.get(error.errno or 0, "")) from error
