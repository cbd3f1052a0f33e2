"""Copies of the C programs (pypod/kernel/programs.py) that nothing in a container can write to."""

from __future__ import annotations

import os

from pypod.kernel.children import move_up
from pypod.kernel.programs import path

_MFD_EXEC = 0x10  # Linux 6.3; older kernels return EINVAL
_F_ADD_SEALS = 1033
_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # seal, shrink, grow, write
_FS_IOC_SETFLAGS, _FS_IMMUTABLE_FL = 0x40086602, 0x10
_COPIES = "/proc/self/fd/"


class Programs:
    """Sealed in-memory copies of the programs that a container could reach as /proc/self/exe.

    Running the file itself would let a container's root overwrite it (CVE-2019-5736). There is one copy per owner of
    this object; ``close`` releases them.
    """

    def __init__(self) -> None:
        self._copies: dict[str, int] = {}

    def executable(self, name: str) -> str:
        """Return a path that executes the sealed copy of ``name`` in a child of this process."""
        fd = self._copies.get(name)
        if fd is None:
            made = move_up(_sealed_copy(path(name), name))
            fd = self._copies.setdefault(name, made)
            if fd != made:  # another thread was faster
                os.close(made)
        return f"{_COPIES}{fd}"

    def close(self) -> None:
        """Close the copies; running programs go on."""
        while self._copies:
            os.close(self._copies.popitem()[1])


def renew(executable: str) -> bool:
    """Replace a copy that cannot be executed (ETXTBSY), because another process can write to it.

    Returns whether it did: a program that is not a copy stays as it is.

    Root of a user's container is the user: their copies can be opened, though not written to (``_make_immutable``).
    """
    if not executable.startswith(_COPIES):
        return False
    fresh = _sealed_copy(executable, "again")
    try:
        os.dup2(fresh, int(executable.removeprefix(_COPIES)), inheritable=False)
    finally:
        os.close(fresh)
    return True


def _sealed_copy(source: str, name: str) -> int:
    import fcntl

    fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        copy = _memory_file(f"pypod-{name}")
        try:
            while os.sendfile(copy, fd, None, size):
                pass
            fcntl.fcntl(copy, _F_ADD_SEALS, _SEALS)
            _make_immutable(copy)
        except BaseException:
            os.close(copy)
            raise
    finally:
        os.close(fd)
    return copy


def _make_immutable(fd: int) -> None:
    """Prevent opening it for writing: a container could not write anything that way, but could block its execution.

    Needs Linux 6.0 and CAP_LINUX_IMMUTABLE; without them the seals alone protect the content.
    """
    import fcntl

    try:
        fcntl.ioctl(fd, _FS_IOC_SETFLAGS, _FS_IMMUTABLE_FL.to_bytes(8, "little"))
    except OSError:
        return


def _memory_file(name: str) -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create(name, flags | _MFD_EXEC)
    except OSError:
        return os.memfd_create(name, flags)
