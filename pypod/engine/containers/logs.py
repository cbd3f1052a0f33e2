"""Read a container's log: lines of ``TIME STREAM F|P TEXT`` (the k8s-file format), reassembled."""

from __future__ import annotations

import os
from _collections_abc import Callable, Iterator

from pypod.model.reports.log import Piece

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CHUNK_BYTES = 1 << 16


def parse_line(line: bytes) -> Piece | None:
    """Parse one line of the log, without its newline; return None for anything else."""
    parts = line.split(b" ", 3)
    if len(parts) != 4 or parts[1] not in (b"stdout", b"stderr") or parts[2] not in (b"F", b"P"):
        return None
    data = parts[3] + b"\n" if parts[2] == b"F" else parts[3]
    return Piece(parts[1].decode(), parts[0].decode("ascii", "replace"), data)


class LogReader:
    """Reads a log incrementally: every call of ``pieces`` yields what was written since the last one."""

    def __init__(self, path: str, offset: int = 0) -> None:
        self._path = path
        self._offset = offset
        self._fd = -1
        self._rest = b""

    def _open(self) -> bool:
        if self._fd < 0:
            try:
                self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:
                return False
        return True

    def pieces(self) -> Iterator[Piece]:
        """Yield the complete lines up to the end of the log, including any that are appended meanwhile."""
        while (some := self.some()) is not None:
            yield from some

    def some(self) -> list[Piece] | None:
        """Return the complete lines of the next block of the log, None at its current end."""
        data = os.pread(self._fd, _CHUNK_BYTES, self._offset) if self._open() else b""
        if not data:
            return None
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [piece for piece in map(parse_line, lines) if piece is not None]

    def skip_to_last(self, count: int) -> None:
        """Seek to the start of the last ``count`` lines; a line that was written in parts counts once.

        Reads backwards from the end, so the size of the log does not matter.
        """
        if not self._open():
            return
        self._offset = 0
        seen, next_line = 0, -1
        for offset, line in _lines_backwards(self._fd):
            piece = parse_line(line)
            if piece is None:
                continue
            if next_line < 0 and count <= 0:
                self._offset = offset + len(line) + 1
                return
            if next_line >= 0 and piece.data.endswith(b"\n"):
                seen += 1
                if seen == count:
                    self._offset = next_line
                    return
            next_line = offset

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1  # cleared before the close, see engine/core/locks.py
            os.close(fd)


def follow(reader: LogReader, wait: Callable[[], bool]) -> Iterator[Piece]:
    """Yield pieces until the container has ended and all its output was read.

    ``wait`` returns True when there may be more, False when there will be no more.
    """
    try:
        more = True
        while more:
            yield from reader.pieces()
            more = wait()
        yield from reader.pieces()
    finally:
        reader.close()


def _lines_backwards(fd: int) -> Iterator[tuple[int, bytes]]:
    """Yield the offset and the bytes of each complete line, without its newline, last line first."""
    start, rest = os.fstat(fd).st_size, b""
    while start > 0:
        below, start = start, max(start - _CHUNK_BYTES, 0)
        text = os.pread(fd, below - start, start) + rest
        *lines, after = text.split(b"\n")
        offset = start + len(text) - len(after)
        for line in reversed(lines[1:] if start else lines):
            offset -= len(line) + 1
            yield offset, line
        # the first line of this block begins in the block before it
        rest = lines[0] + b"\n" if lines else after
