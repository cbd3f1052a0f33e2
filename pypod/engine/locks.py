"""A lock per object: flock on its directory, so that it dies with its holder. Order: a pod before its containers."""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

EXCLUSIVE, SHARED = fcntl.LOCK_EX, fcntl.LOCK_SH


class Lock:
    """The lock of the object whose directory is ``path``; the directory is made if need be."""

    __slots__ = ("_fd", "_kind", "path")

    def __init__(self, path: str, kind: int = EXCLUSIVE) -> None:
        self.path = path
        self._kind = kind
        self._fd = -1

    def __enter__(self) -> Lock:
        while True:
            try:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
                break
            except FileNotFoundError:
                os.makedirs(self.path, 0o700, exist_ok=True)
        fcntl.flock(self._fd, self._kind)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def discard_if_new(self) -> None:
        """Remove the directory again when it is empty: it was made only to be locked."""
        try:
            os.rmdir(self.path)
        except OSError:
            return
