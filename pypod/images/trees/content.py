"""Copy the content of files: within the kernel where that is possible, and holes stay holes."""

from __future__ import annotations

import errno
import os

from pypod.images.tar import sparse
from pypod.kernel.descriptors import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.images.trees.items import Item

_CHUNK_BYTES = 1 << 20
_REFUSED = (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM)


def copy_content(item: Item, to: int) -> None:
    """Write the content of a file into the empty file behind a descriptor.

    A file that shrinks meanwhile is padded with zeros, of one that grows only the first ``size`` bytes are copied.
    Raises OSError.
    """
    if item.pieces is not None:
        for piece in item.pieces:
            write_all(to, piece)
        return
    status = os.fstat(item.fd)
    size = status.st_size
    parts = sparse.parts(item.fd, status) or ((0, size),)
    for offset, length in parts:
        _copy(item.fd, to, offset, offset + length)
    os.ftruncate(to, size)


def _copy(source: int, to: int, at: int, end: int) -> None:
    while at < end:  # shares blocks where the file system can (btrfs, xfs)
        try:
            copied = os.copy_file_range(source, to, min(end - at, 1 << 30), at, at)
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            break
        if not copied:
            return
        at += copied
    os.lseek(to, at, os.SEEK_SET)
    buffer = memoryview(bytearray(min(_CHUNK_BYTES, max(end - at, 1))))
    while at < end:
        count = os.preadv(source, [buffer[: end - at]], at)
        if not count:
            return
        write_all(to, buffer[:count])
        at += count
