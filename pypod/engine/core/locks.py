"""One lock per object: flock on its directory, released when its holder dies. Order: a pod before its containers."""

from __future__ import annotations

import errno
import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

EXCLUSIVE, SHARED = fcntl.LOCK_EX, fcntl.LOCK_SH
AT_ONCE = fcntl.LOCK_EX | fcntl.LOCK_NB  # raises BlockingIOError when the lock is held

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class Lock:
    """The lock of the object whose directory is ``path``.

    The directory is created if need be, and removed on release when it is still empty. With ``without_space``, a
    directory that cannot be created because the disk is full is not an error: no other process can start that object
    either.

    Enter it twice: ``with Lock(path) as lock, lock:``. Python handles a signal at the first instruction of an
    ``__exit__`` written in Python, so Control-C at that point skips all of it, and the traceback keeps the lock alive
    (github.com/python/cpython/issues/74174). The outer ``with`` then releases it.
    """

    __slots__ = ("_fd", "_kind", "_made", "_without_space", "path")

    def __init__(self, path: str, kind: int = EXCLUSIVE, *, without_space: bool = False) -> None:
        self.path = path
        self._kind = kind
        self._fd = -1
        self._made = False
        self._without_space = without_space

    def fileno(self) -> int:
        """Return the descriptor that holds the lock; -1 while it is not held."""
        return self._fd

    def __enter__(self) -> Lock:
        try:
            while self._fd < 0:
                fd = self._open()
                if fd < 0:
                    break
                try:
                    fcntl.flock(fd, self._kind)
                    # The directory may have been removed while we waited: then the lock is on an inode without a name.
                    if _is_at(fd, self.path):
                        self._fd = fd
                finally:
                    if self._fd != fd:
                        os.close(fd)
        except BaseException:  # Control-C with the lock held
            self._release()
            raise
        return self

    def _open(self) -> int:
        while True:
            try:
                return os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:
                pass
            try:
                os.makedirs(self.path, 0o700)
            except FileExistsError:
                continue
            except OSError as error:
                if self._without_space and error.errno in NO_SPACE:
                    return -1
                raise
            self._made = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def _release(self) -> None:
        if self._fd < 0:
            return
        try:
            if self._made:
                self._remove_if_empty()
            # A process forked by another thread may hold a copy of the descriptor, so closing ours would not unlock.
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        finally:
            # Cleared first: after Control-C at the end of close(), its number may already be another thread's file.
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _remove_if_empty(self) -> None:
        try:
            if self._kind == SHARED:  # other sharers still need it
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(self._fd, self.path):
                os.rmdir(self.path)
        except OSError:
            return


def _is_at(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def is_held(path: str, flags: int) -> bool:
    """Return whether a path is locked exclusively; ``flags`` are added to those of open(2). Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        # Shared, so that two processes probing at the same time do not take each other for the holder.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def locked(directory: str) -> int | None:
    """Return a descriptor holding the lock of a directory of the storage; None when another process holds it."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:  # the storage is gone, and every other lock holder with it
        return os.open("/", os.O_PATH | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd
