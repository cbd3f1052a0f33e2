"""Placement of directories on disk."""

from __future__ import annotations

import fcntl
import os
import sys

# <linux/fs.h>: declared with long, but the kernel reads and writes an int
_FS_IOC_GETFLAGS, _FS_IOC_SETFLAGS = 0x80086601, 0x40086602
_FS_TOPDIR_FL = 0x00020000


def spread(directory: str) -> None:
    """Let the file system spread the subdirectories of this one over the disk.

    On ext4 they become tops of directory hierarchies (``chattr +T``): their block group depends on a hash of the name
    and on how full the groups are instead of the parent's group (find_group_orlov in fs/ext4/ialloc.c). That matters
    without a journal: ext4 then does not reuse an inode for some time after its deletion, and scans all of those in the
    group for each new file (recently_deleted, same file). Other file systems do not know the flag, or ignore it.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = int.from_bytes(fcntl.ioctl(fd, _FS_IOC_GETFLAGS, bytes(8))[:4], sys.byteorder)
        fcntl.ioctl(fd, _FS_IOC_SETFLAGS, (flags | _FS_TOPDIR_FL).to_bytes(8, sys.byteorder))
    except OSError:
        return
    finally:
        os.close(fd)
