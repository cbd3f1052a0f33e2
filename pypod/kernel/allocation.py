"""Where on the disk a directory goes."""

from __future__ import annotations

import fcntl
import os
import sys

# <linux/fs.h>: they are declared with long, but the kernel reads and writes an int
_FS_IOC_GETFLAGS, _FS_IOC_SETFLAGS = 0x80086601, 0x40086602
_FS_TOPDIR_FL = 0x00020000


def spread(directory: str) -> None:
    """Let a file system put each directory that is made in this one into a part of the disk of its own.

    For ext4 they are tops of hierarchies then (``chattr +T``): their group of blocks is not the parent's, but follows
    from the hash of their name and from how empty the groups are (fs/ext4/ialloc.c, find_group_orlov). That matters
    where there is no journal: such an ext4 does not use an inode again for some time after its deletion, and for each
    new file walks over all of those in its group (recently_deleted, in the same place). Other file systems do not know
    the mark, or do nothing with it.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = int.from_bytes(fcntl.ioctl(fd, _FS_IOC_GETFLAGS, bytes(8))[:4], sys.byteorder)
        fcntl.ioctl(fd, _FS_IOC_SETFLAGS, (flags | _FS_TOPDIR_FL).to_bytes(8, sys.byteorder))
    except OSError:
        return
    finally:
        os.close(fd)
