"""Write entries of a tar: ustar, with a pax header for what that has no room for (pax(1), EXTENDED DESCRIPTION)."""

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
    """One entry; ``path`` is relative to the root, without a slash at the end. ``size`` is that of the data."""

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
        """Return the header, and the pax header before it if there has to be one."""
        name = self.path + b"/" if self.type == DIRECTORY else self.path
        prefix, name, records = _split(name)
        link = self.link
        if len(link) > _NAME_BYTES:
            records.append((b"linkpath", link))
            link = link[:_NAME_BYTES]
        numbers = {"uid": (self.uid, 8), "gid": (self.gid, 8), "size": (self.size, 12)}
        fields = {}
        for key, (value, width) in numbers.items():
            fits = value < 8 ** (width - 1)
            fields[key] = _octal(value if fits else 0, width)
            if not fits:
                records.append((key.encode(), b"%d" % value))
        seconds, rest_ns = divmod(self.mtime_ns, _SECOND_NS)
        if rest_ns or not 0 <= seconds < 8**11:
            records.append((b"mtime", _seconds(self.mtime_ns)))
        fields["mtime"] = _octal(seconds if 0 <= seconds < 8**11 else 0, 12)
        records += self.records
        header = _header(
            name,
            self.mode,
            fields["uid"],
            fields["gid"],
            fields["size"],
            fields["mtime"],
            self.type,
            link,
            self.device,
            prefix,
        )
        return _pax(records) + header if records else header


def type_of(mode: int) -> str:
    """Return the type of entry for a file of this mode, nothing for one that a tar cannot hold (a socket)."""
    return _TYPES.get(stat.S_IFMT(mode), "")


def padding(size: int) -> bytes:
    """Return the zeros that follow data of ``size`` bytes."""
    return bytes(-size % BLOCK_BYTES)


def _split(name: bytes) -> tuple[bytes, bytes, list[tuple[bytes, bytes]]]:
    """Return prefix, name and records: a slash between the two is where the name can be cut."""
    if len(name) <= _NAME_BYTES:
        return b"", name, []
    cut = name.find(b"/", len(name) - _NAME_BYTES - 1, len(name) - 1)
    if 0 < cut <= _PREFIX_BYTES:
        return name[:cut], name[cut + 1 :], []
    return b"", name[:_NAME_BYTES], [(b"path", name)]


def _octal(value: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, value)


def _seconds(time_ns: int) -> bytes:
    """Return seconds with a fraction; the sign is that of the whole, other than in a timespec."""
    seconds, rest_ns = divmod(abs(time_ns), _SECOND_NS)
    text = b"%d.%09d" % (seconds, rest_ns) if rest_ns else b"%d" % seconds
    return b"-" + text if time_ns < 0 else text


def _header(
    name: bytes,
    mode: int,
    uid: bytes,
    gid: bytes,
    size: bytes,
    mtime: bytes,
    kind: str,
    link: bytes,
    device: tuple[int, int] = (0, 0),
    prefix: bytes = b"",
) -> bytes:
    before = name.ljust(_NAME_BYTES, b"\0") + _octal(stat.S_IMODE(mode), 8) + uid + gid + size + mtime
    after = kind.encode() + link.ljust(_NAME_BYTES, b"\0") + b"ustar\x0000" + bytes(64)
    after += _octal(device[0], 8) + _octal(device[1], 8) + prefix.ljust(_PREFIX_BYTES + 12, b"\0")
    checksum = sum(before) + 8 * ord(" ") + sum(after)
    return before + b"%06o\0 " % checksum + after


def _pax(records: Iterable[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(_record(key, value) for key, value in records)
    zero = _octal(0, 8)
    header = _header(b"PaxHeader", 0o644, zero, zero, _octal(len(body), 12), _octal(0, 12), _PAX, b"")
    return header + body + padding(len(body))


def _record(key: bytes, value: bytes) -> bytes:
    """Return ``LENGTH KEY=VALUE``; the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)
