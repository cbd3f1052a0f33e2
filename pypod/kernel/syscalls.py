"""System calls missing in Python 3.11. The only file that calls into libc."""

from __future__ import annotations

import ctypes
import errno
import os
import sys

_libc = ctypes.CDLL(None, use_errno=True)
_libc.setns.argtypes = [ctypes.c_int, ctypes.c_int]
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
_libc.umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]
_libc.inotify_init1.argtypes = [ctypes.c_int]
_libc.inotify_add_watch.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32]


def setns(fd: int, flags: int) -> None:
    """Move the calling thread into the namespace behind ``fd``. Raises OSError; see setns(2)."""
    if _libc.setns(fd, flags) < 0:
        raise _failure(f"setns({fd}, {flags:#x})")


def inotify_init1(flags: int) -> int:
    """Return a new inotify descriptor. Raises OSError; see inotify_init1(2)."""
    fd: int = _libc.inotify_init1(flags)
    if fd < 0:
        raise _failure(f"inotify_init1({flags:#x})")
    return fd


def inotify_add_watch(fd: int, path: str, mask: int) -> int:
    """Watch a file or directory; return the watch descriptor. Raises OSError; see inotify_add_watch(2)."""
    number: int = _libc.inotify_add_watch(fd, os.fsencode(path), mask)
    if number < 0:
        raise _failure(f"inotify_add_watch({fd}, {path!r}, {mask:#x})")
    return number


def mount(source: str, target: str, filesystem: str, flags: int, data: str = "") -> None:
    """Mount a file system, in the caller's mount namespace. Raises OSError; see mount(2)."""
    words = (os.fsencode(source), os.fsencode(target), os.fsencode(filesystem))
    if _libc.mount(*words, flags, os.fsencode(data) or None) < 0:
        raise _failure(f"mount({source!r}, {target!r}, {filesystem!r}, {flags:#x}, {data!r})")


def umount2(target: str, flags: int) -> None:
    """Unmount a file system. Raises OSError; see umount(2)."""
    if _libc.umount2(os.fsencode(target), flags) < 0:
        raise _failure(f"umount2({target!r}, {flags:#x})")


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_OPENAT2 = 437  # on every architecture
RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_IN_ROOT = 0x01, 0x02, 0x10
_ATTEMPTS = 1000


def openat2(directory: int, path: str, flags: int, resolve: int) -> int:
    """Open a path below the directory behind a descriptor. Raises OSError, ValueError for a NUL; see openat2(2).

    A rename elsewhere that races with a ``..`` of the path gives EAGAIN, and the manual page says to try again. Not
    forever: the renames may be deliberate.
    """
    how, name = _OpenHow(flags | os.O_CLOEXEC, 0, resolve), os.fsencode(path)
    if b"\0" in name:
        raise ValueError("embedded null byte")
    for _ in range(_ATTEMPTS):
        fd: int = _libc.syscall(
            ctypes.c_long(_OPENAT2),
            ctypes.c_long(directory),
            ctypes.c_char_p(name),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if fd >= 0:
            return fd
        if ctypes.get_errno() != errno.EAGAIN:
            break
    error = _failure(f"openat2({directory}, {path!r}, {flags:#x}, {resolve:#x})")
    error.filename = path
    raise error


def file_system_type(fd: int) -> int:
    """Return the magic number of the file system that a descriptor is on, as in statfs(2). Raises OSError."""
    room = ctypes.create_string_buffer(256)  # struct statfs has 120 bytes on 64-bit machines, f_type comes first
    if _libc.fstatfs(fd, room) < 0:
        raise _failure(f"fstatfs({fd})")
    return int.from_bytes(room.raw[: ctypes.sizeof(ctypes.c_long)], sys.byteorder) & 0xFFFFFFFF


def _failure(call: str) -> OSError:
    number = ctypes.get_errno()
    error = OSError(number, os.strerror(number))
    error.add_note(call)
    return error


def attempt(number: int, arguments: tuple[int, ...]) -> int:
    """Make the system call ``number`` and return the error number that it fails with, 0 when it succeeds."""
    result = _libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
    return ctypes.get_errno() if result < 0 else 0
