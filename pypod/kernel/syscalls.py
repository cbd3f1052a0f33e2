"""System calls that Python 3.11 does not have. The only file that touches libc."""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc.setns.argtypes = [ctypes.c_int, ctypes.c_int]


def setns(fd: int, flags: int) -> None:
    """Move the calling thread into the namespace behind ``fd``. Raises OSError; see setns(2)."""
    if _libc.setns(fd, flags) < 0:
        number = ctypes.get_errno()
        error = OSError(number, os.strerror(number))
        error.add_note(f"setns({fd}, {flags:#x})")
        raise error


def attempt(number: int, arguments: tuple[int, ...]) -> int:
    """Make the system call ``number`` and return the error number it fails with, 0 when it does not."""
    result = _libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
    return ctypes.get_errno() if result < 0 else 0
