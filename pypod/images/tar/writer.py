"""Write deterministic tar archives, to a file or to a pipe."""

from __future__ import annotations

import os
import stat

from pypod.images.new_file import PIECE_BYTES, NewFile, exactly, temporary_file, write_pieces
from pypod.images.tar.entries import BLOCK_BYTES, END, padding, plain_header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_RECORD_BYTES = 20 * BLOCK_BYTES  # archives end at a multiple of it (pax(1) -b); GNU tar warns about others


class TarWriter:
    """A tar archive being written. It appears at ``path`` complete, with ``finish``, or not at all.

    ``fd``, /dev/stdout or a ``path`` that is not a regular file (a pipe) gets the bytes as they come. Members are owned
    by 0:0, dated 1970, with mode 0444. Not thread-safe: the order of calls is the order in the archive.
    After an error in the middle of a member the archive is discarded.
    """

    def __init__(self, path: str, fd: int = -1) -> None:
        if path == "/dev/stdout":
            fd = 1  # the descriptor itself: a file that the shell redirected it to must not be replaced
        # Through a symbolic link: its target is replaced, not the link.
        directory, self._name = os.path.split(os.path.realpath(path))
        self._directory_fd = -1
        self._file: NewFile | None = None
        self._size = 0
        if fd >= 0:
            self._fd = os.dup(fd)
        elif _is_special(path):
            self._fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        else:
            self._directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._file = NewFile(self._directory_fd)
            except BaseException:
                os.close(self._directory_fd)
                raise
            self._fd = self._file.fd

    def add(self, name: str, size: int, pieces: Iterable[bytes]) -> None:
        """Add a file of ``size`` bytes. Raises InvalidImage when the pieces have more or fewer."""
        try:
            self._write(plain_header(name, size))
            self._size += write_pieces(self._fd, exactly(size, pieces, name))
            self._pad(size)
        except BaseException:
            self.close()
            raise

    def add_bytes(self, name: str, content: bytes) -> None:
        """Add a small file."""
        self.add(name, len(content), (content,))

    def add_unsized(self, pieces: Iterable[bytes], name: Callable[[], str]) -> None:
        """Add a file whose size and name are known only after its last byte; an empty name leaves it out after all.

        In a file the header is written afterwards; for a pipe the member is first spooled to a temporary file.
        """
        if self._file is not None:
            try:
                self._add_in_place(pieces, name)
            except BaseException:
                self.close()
                raise
            return
        copy = temporary_file()
        try:
            size = write_pieces(copy, pieces)
            if chosen := name():
                self.add(chosen, size, _from_start(copy))
        finally:
            os.close(copy)

    def finish(self) -> None:
        """Write the end of the archive and rename it into place. Raises OSError, also after it was discarded."""
        self._write(END + bytes(-(self._size + len(END)) % _RECORD_BYTES))
        if self._file is not None:
            self._file.commit(self._name)
        self.close()

    def close(self) -> None:
        """Discard an unfinished archive; nothing of it is left in a directory."""
        if self._fd < 0:
            return
        if self._file is not None:
            self._file.close()
            os.close(self._directory_fd)
        else:
            os.close(self._fd)
        self._fd = -1

    def _add_in_place(self, pieces: Iterable[bytes], name: Callable[[], str]) -> None:
        start = self._size
        os.lseek(self._fd, start + BLOCK_BYTES, os.SEEK_SET)
        size = write_pieces(self._fd, pieces)
        if chosen := name():
            os.pwrite(self._fd, plain_header(chosen, size), start)
            self._size = start + BLOCK_BYTES + size
            self._pad(size)
        else:
            os.lseek(self._fd, start, os.SEEK_SET)
            os.ftruncate(self._fd, start)

    def _pad(self, size: int) -> None:
        self._write(padding(size))

    def _write(self, data: bytes) -> None:
        self._size += write_pieces(self._fd, (data,))


def _from_start(fd: int) -> Iterator[bytes]:
    offset = 0
    while piece := os.pread(fd, PIECE_BYTES, offset):
        yield piece
        offset += len(piece)


def _is_special(path: str) -> bool:
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return False
