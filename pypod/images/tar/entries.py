"""Write tar entries: ustar, with pax headers for what does not fit (pax(1), EXTENDED DESCRIPTION)."""

from __future__ import annotations

import stat

from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

BLOCK_BYTES = 512
END = bytes(2 * BLOCK_BYTES)
FILE, HARD_LINK, SYMLINK, CHARACTER_DEVICE, BLOCK_DEVICE, DIRECTORY, FIFO = "0123456"
_PAX = "x"
_TYPES = {
    stat.S_IFREG: FILE,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: CHARACTER_DEVICE,
    stat.S_IFBLK: BLOCK_DEVICE,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFIFO: FIFO,
}
_NAME_BYTES, _PREFIX_BYTES = 100, 155
_SECOND_NS = 1_000_000_000


class Entry(Value):
    """One entry; ``path`` is relative to the root, without a trailing slash. ``size`` is that of the data."""

    path: bytes
    type: str = FILE
    link: bytes = b""
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime_ns: int = 0
    device: tuple[int, int] = (0, 0)
    records: tuple[tuple[bytes, bytes], ...] = ()

    def encode(self) -> bytes:
        """Return the header, preceded by a pax header if one is needed."""
        records: list[tuple[bytes, bytes]] = []
        prefix, name = _split(self.path + b"/" if self.type == DIRECTORY else self.path, records)
        if len(self.link) > _NAME_BYTES:
            records.append((b"linkpath", self.link))
        seconds, rest_ns = divmod(self.mtime_ns, _SECOND_NS)
        has_room = 0 <= seconds < 8**11
        if rest_ns or not has_room:
            records.append((b"mtime", _seconds(self.mtime_ns)))
        header = _header(
            name=name,
            mode=self.mode,
            uid=_number(b"uid", self.uid, 8, records),
            gid=_number(b"gid", self.gid, 8, records),
            size=_number(b"size", self.size, 12, records),
            mtime=_octal(seconds if has_room else 0, 12),
            kind=self.type,
            link=self.link[:_NAME_BYTES],
            device=self.device,
            prefix=prefix,
        )
        records += self.records
        return _pax(records) + header if records else header


def plain_header(name: str, size: int, mode: int = 0o444) -> bytes:
    """Return the header of a file, always one block whatever the size: for callers that reserve its space.

    ``name`` has at most 100 bytes. A size above 8 GiB is written in binary, which all readers support (an extension of
    GNU and star).
    """
    encoded = name.encode()
    if len(encoded) > _NAME_BYTES:
        raise ValueError(f"a name of more than {_NAME_BYTES} bytes: {name}")
    digits = _octal(size, 12) if size < 8**11 else b"\x80" + size.to_bytes(11, "big")
    zero = _octal(0, 8)
    return _header(name=encoded, uid=zero, gid=zero, size=digits, mtime=_octal(0, 12), kind=FILE, mode=mode)


def type_of(mode: int) -> str:
    """Return the type of entry for a file of this mode, or nothing if a tar cannot hold it (a socket)."""
    return _TYPES.get(stat.S_IFMT(mode), "")


def padding(size: int) -> bytes:
    """Return the zeros that follow data of ``size`` bytes."""
    return bytes(-size % BLOCK_BYTES)


def _split(name: bytes, records: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """Return prefix and name, split at a slash; if there is no suitable one, the path goes into a record."""
    if len(name) <= _NAME_BYTES:
        return b"", name
    cut = name.find(b"/", len(name) - _NAME_BYTES - 1, len(name) - 1)
    if 0 < cut <= _PREFIX_BYTES:
        return name[:cut], name[cut + 1 :]
    records.append((b"path", name))
    return b"", name[:_NAME_BYTES]


def _number(key: bytes, value: int, width: int, records: list[tuple[bytes, bytes]]) -> bytes:
    if value < 8 ** (width - 1):
        return _octal(value, width)
    records.append((key, b"%d" % value))
    return _octal(0, width)


def _octal(value: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, value)


def _seconds(time_ns: int) -> bytes:
    """Return seconds with a fraction; the sign applies to the whole, unlike in a timespec."""
    seconds, rest_ns = divmod(abs(time_ns), _SECOND_NS)
    text = b"%d.%09d" % (seconds, rest_ns) if rest_ns else b"%d" % seconds
    return b"-" + text if time_ns < 0 else text


def _header(
    *,
    name: bytes,
    uid: bytes,
    gid: bytes,
    size: bytes,
    mtime: bytes,
    kind: str,
    mode: int = 0,
    link: bytes = b"",
    device: tuple[int, int] = (0, 0),
    prefix: bytes = b"",
) -> bytes:
    before = name.ljust(_NAME_BYTES, b"\0") + _octal(mode, 8) + uid + gid + size + mtime
    after = kind.encode() + link.ljust(_NAME_BYTES, b"\0") + b"ustar\x0000" + bytes(64)
    after += _octal(device[0], 8) + _octal(device[1], 8) + prefix.ljust(_PREFIX_BYTES + 12, b"\0")
    checksum = sum(before) + 8 * ord(" ") + sum(after)
    return before + b"%06o\0 " % checksum + after


def _pax(records: Iterable[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(_record(key, value) for key, value in records)
    zero = _octal(0, 8)
    header = _header(
        name=b"PaxHeader", uid=zero, gid=zero, size=_octal(len(body), 12), mtime=_octal(0, 12), kind=_PAX, mode=0o644
    )
    return header + body + padding(len(body))


def _record(key: bytes, value: bytes) -> bytes:
    """Return ``LENGTH KEY=VALUE``; the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)


def joined(directory: bytes, name: bytes) -> bytes:
    """Return the path of a name in a directory, which is empty for the root."""
    return directory + b"/" + name if directory else name
