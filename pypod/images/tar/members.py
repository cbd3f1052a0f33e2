"""Read a tar archive from a stream: one member after the other, with its attributes and content."""

from __future__ import annotations

from pypod.errors import InvalidImage
from pypod.images.tar import headers
from pypod.images.tar.entries import BLOCK_BYTES, BLOCK_DEVICE, CHARACTER_DEVICE, DIRECTORY, FILE, HARD_LINK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SECOND_NS = 1_000_000_000
_IDS_LIMIT = 2**32 - 2


class StreamedMember:
    """A member whose content is read from ``pieces``, once, before the next member is taken."""

    __slots__ = ("device", "gid", "kind", "link", "mode", "mtime_ns", "name", "pieces", "records", "size", "uid")

    def __init__(
        self, header: bytes, extended: dict[bytes, bytes], pieces: Iterator[bytes], size: int, what: str
    ) -> None:
        flag = header[156:157]
        name = _text(extended[b"path"]) if b"path" in extended else headers.name_of(header)
        headers.check_size(flag, name, size, what)
        self.kind = FILE if flag in (b"\0", b"7") else flag.decode("latin-1")
        if self.kind == FILE and name.endswith("/"):
            self.kind = DIRECTORY
        self.name = headers.clean(name, what)
        link = _text(extended[b"linkpath"]) if b"linkpath" in extended else headers.text_of(header[157:257])
        self.link = headers.clean(link, what) if self.kind == HARD_LINK else link
        self.mode = headers.number_of(header[100:108], "a mode", what) & 0o7777
        self.uid = _id(extended.get(b"uid"), header[108:116], what)
        self.gid = _id(extended.get(b"gid"), header[116:124], what)
        self.mtime_ns = _time(extended.get(b"mtime"), header[136:148], what)
        self.device = _device(header, what) if self.kind in (CHARACTER_DEVICE, BLOCK_DEVICE) else (0, 0)
        self.size = size
        self.pieces = pieces
        self.records = tuple(extended.items())


def members(pieces: Iterable[bytes], what: str) -> Iterator[StreamedMember]:
    """Yield the members of an uncompressed archive up to its end. Raises InvalidImage."""
    stream = _Stream(pieces, what)
    extended: dict[bytes, bytes] = {}
    while True:
        header = stream.take(BLOCK_BYTES)
        if not header and not extended:  # some programs leave the end marks out
            return
        if len(header) == BLOCK_BYTES and header.count(0) == BLOCK_BYTES:
            stream.drain()
            return
        headers.check_header(header, what)
        kind = header[156:157]
        size = headers.size_of(header, {"size": extended.get(b"size", b"").decode("latin-1")}, what)
        if kind in headers.EXTENSIONS:
            if size > headers.EXTENSION_BYTES_LIMIT:
                raise InvalidImage(what, "a header of the archive is too large")
            data = stream.exactly(size)
            stream.skip(-size % BLOCK_BYTES)
            extended |= headers.extended(kind, data, what)
            continue
        content = stream.content(size)
        member = StreamedMember(header, extended, content, size, what)
        yield member
        for _ in content:
            pass
        stream.skip(-size % BLOCK_BYTES)
        extended = {}


class _Stream:
    """Bytes that arrive in pieces, taken in other pieces."""

    def __init__(self, pieces: Iterable[bytes], what: str) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")
        self._what = what

    def _some(self, most: int) -> memoryview:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return memoryview(b"")
            self._rest = memoryview(piece)
        found, self._rest = self._rest[:most], self._rest[most:]
        return found

    def take(self, count: int) -> bytes:
        """Return ``count`` bytes, fewer at the end."""
        found = bytearray()
        while len(found) < count:
            some = self._some(count - len(found))
            if not some:
                break
            found += some
        return bytes(found)

    def exactly(self, count: int) -> bytes:
        """Return ``count`` bytes. Raises InvalidImage when there are fewer."""
        found = self.take(count)
        if len(found) < count:
            raise InvalidImage(self._what, "the archive is truncated, or the size of a member is wrong")
        return found

    def content(self, size: int) -> Iterator[bytes]:
        """Yield ``size`` bytes as they come."""
        while size:
            some = self._some(size)
            if not some:
                raise InvalidImage(self._what, "the archive is truncated, or the size of a member is wrong")
            size -= len(some)
            yield bytes(some)

    def skip(self, count: int) -> None:
        """Skip the padding of a member."""
        self.take(count)

    def drain(self) -> None:
        """Read the rest, so that the program that writes the archive is not ended by SIGPIPE."""
        for _ in self._pieces:
            pass


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _device(header: bytes, what: str) -> tuple[int, int]:
    major, minor = (headers.number_of(header[at : at + 8], "a device", what) for at in (329, 337))
    return major & 0xFFF, minor & 0xFFFFF


def _id(extended: bytes | None, field: bytes, what: str) -> int:
    if extended is not None and not (extended.isdigit() and len(extended) <= 10):
        raise InvalidImage(what, "an owner in the archive is not a number")
    found = headers.number_of(field, "an owner", what) if extended is None else int(extended)
    if not 0 <= found <= _IDS_LIMIT:
        raise InvalidImage(what, f"the owner {found} in the archive is not valid")
    return found


def _time(extended: bytes | None, field: bytes, what: str) -> int:
    """Return a time in nanoseconds; of an extended header a decimal number of seconds."""
    if extended is None:
        return _bounded(headers.number_of(field, "a time", what)) * _SECOND_NS
    whole, _, fraction = extended.partition(b".")
    digits = whole.removeprefix(b"-")
    if not digits.isdigit() or len(digits) > 18 or not (fraction or b"0").isdigit():
        raise InvalidImage(what, "a time in the archive is not a number")
    found = _bounded(int(digits)) * _SECOND_NS + int(fraction[:9].ljust(9, b"0"))
    return -found if whole.startswith(b"-") else found


def _bounded(seconds: int) -> int:
    return min(seconds, 2**33)  # utimensat(2) takes more, file systems do not
