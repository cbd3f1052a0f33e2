"""Paths inside of a root directory, as descriptors: links and ``..`` never lead out of it (RESOLVE_IN_ROOT)."""

from __future__ import annotations

import errno
import os
import stat
from posixpath import normpath

from pypod.kernel.syscalls import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

_RESOLVE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_DIRECTORY = os.O_PATH | os.O_DIRECTORY
_LINKS_LIMIT = 40  # as the kernel's (path_resolution(7))


class Root:
    """A root directory behind an O_PATH descriptor, which it owns."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def close(self) -> None:
        """Close the descriptor."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def look(self, path: str, flags: int = 0) -> int:
        """Return an O_PATH descriptor of what is at a path, links followed. Raises OSError."""
        return openat2(self.fd, path, os.O_PATH | flags, _RESOLVE)

    def enter(self, path: str) -> int:
        """Return a descriptor for reading the directory at a path, links followed. Raises OSError."""
        return openat2(self.fd, path, os.O_RDONLY | os.O_DIRECTORY, _RESOLVE)

    def read(self, path: str, limit: int) -> bytes:
        """Return the content of a regular file at a path; nothing if it is missing, larger or something else."""
        try:
            fd = openat2(self.fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, _RESOLVE)
        except OSError:
            return b""
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
                return b""
            return os.read(fd, limit)
        finally:
            os.close(fd)

    def place(self, path: str) -> tuple[int, str]:
        """Return where a file at a path is to be created: an O_PATH descriptor of the directory, and the name in it.

        A link there is followed, also one that leads to nothing yet. Raises OSError.
        """
        for _ in range(_LINKS_LIMIT):
            directory, _, name = path.rpartition("/")
            fd = openat2(self.fd, directory or "/", _DIRECTORY, _RESOLVE)
            try:
                target = os.readlink(name, dir_fd=fd) if name not in ("", ".", "..") else ""
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.ENOENT):  # no link
                    return fd, name
                os.close(fd)
                raise
            os.close(fd)
            if not target:
                raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), path)
            path = (target if target.startswith("/") else f"{directory}/{target}").rstrip("/")
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def plain(path: str, start: str = "/") -> str:
    """Return an absolute path without ``.`` and ``..``; one that is not absolute begins at ``start``.

    As in podman, ``..`` is removed together with the name before it, also if that is a link.

    >>> plain("a/../b", "/var"), plain("/../../x"), plain("//")
    ('/var/b', '/x', '/')
    """
    whole = path if path.startswith("/") else f"{start}/{path}"
    return "/" + normpath(whole).lstrip("/")
