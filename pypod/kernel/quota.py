"""Project quotas of XFS and ext4: limits for all files below a directory (quotactl(2), ioctl_xfs_fsgetxattr(2))."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct

from pypod.kernel.syscalls import attempt

_QUOTACTL_FD = 443  # Linux 5.14, the same number everywhere
_PROJECT = 2  # PRJQUOTA
_GET, _SET = (ord("X") << 8) + 3, (ord("X") << 8) + 4  # Q_XGETQUOTA, Q_XSETQLIM
_QUOTA = struct.Struct("=bbHI6Q2i2H4b3QiHh8x")  # struct fs_disk_quota
_BLOCK_BYTES = 512
_HARD_AND_SOFT = 0b1111  # FS_DQ_ISOFT | FS_DQ_IHARD | FS_DQ_BSOFT | FS_DQ_BHARD
_ATTRIBUTES = struct.Struct("=5I8x")  # struct fsxattr
_GET_ATTRIBUTES, _SET_ATTRIBUTES = 0x801C581F, 0x401C5820  # FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR
_INHERIT = 0x200  # FS_XFLAG_PROJINHERIT
_ATTEMPTS = 64
_FIRST, _LAST = 1 << 20, (1 << 31) - 1


def has_projects(directory: str) -> bool:
    """Return whether the file system of a directory enforces project quotas that this process may set."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _quota(fd, _FIRST)[0] in (0, errno.ENOENT)
    finally:
        os.close(fd)


def limit(directory: str, *, bytes: int, inodes: int) -> None:
    """Make an empty directory the root of a new project with these limits; 0 is none. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        project = _free(fd)
        flags, extent, count, _, copy = _ATTRIBUTES.unpack(_get_attributes(fd))
        fcntl.ioctl(fd, _SET_ATTRIBUTES, _ATTRIBUTES.pack(flags | _INHERIT, extent, count, project, copy))
        _set(fd, project, -(-bytes // _BLOCK_BYTES), inodes)
    finally:
        os.close(fd)


def release(directory: str) -> None:
    """Remove the limits of a directory's project, if it has one of ours."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        project = _ATTRIBUTES.unpack(_get_attributes(fd))[3]
        if project >= _FIRST:
            _set(fd, project, 0, 0)
    except OSError:
        return
    finally:
        os.close(fd)


def _get_attributes(fd: int) -> bytes:
    return fcntl.ioctl(fd, _GET_ATTRIBUTES, bytes(_ATTRIBUTES.size))


def _free(fd: int) -> int:
    """Return the number of a project that has neither files nor limits."""
    for _ in range(_ATTEMPTS):
        project = _FIRST + int.from_bytes(os.urandom(4), "little") % (_LAST - _FIRST)
        error, found = _quota(fd, project)
        if error == errno.ENOENT or (error == 0 and not any(found[4:10])):
            return project
        if error not in (0, errno.ENOENT):
            raise OSError(error, os.strerror(error))
    raise OSError(errno.EEXIST, "no free project number was found")


def _quota(fd: int, project: int) -> tuple[int, tuple[int, ...]]:
    """Return the error number (0: none) and the quota of a project."""
    buffer = ctypes.create_string_buffer(_QUOTA.size)
    error = attempt(_QUOTACTL_FD, (fd, (_GET << 8) | _PROJECT, project, ctypes.addressof(buffer)))
    return error, _QUOTA.unpack(buffer.raw)


def _set(fd: int, project: int, blocks: int, inodes: int) -> None:
    values = (1, 2, _HARD_AND_SOFT, project, blocks, blocks, inodes, inodes, *[0] * 17)
    buffer = ctypes.create_string_buffer(_QUOTA.pack(*values), _QUOTA.size)
    error = attempt(_QUOTACTL_FD, (fd, (_SET << 8) | _PROJECT, project, ctypes.addressof(buffer)))
    if error:
        raise OSError(error, os.strerror(error))
