"""Strict parsing of tar headers: input that programs would read differently is refused.

ustar, pax and GNU's long names (pax(1), POSIX.1-2018 "ustar Interchange Format"; tar(5) of libarchive for GNU's).
Python's tarfile is not used: it is lenient where that lets two programs see different archives, it takes 16 us a member
(this 8 us) and 10 ms to import, and threads could not share its file object.
"""

from __future__ import annotations

import os

from pypod.errors import InvalidImage
from pypod.images.tar.entries import BLOCK_BYTES
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MEMBERS_LIMIT = 100_000
_NAME_BYTES_LIMIT = 4096
EXTENSION_BYTES_LIMIT = 1 << 20  # as Go's archive/tar
_OCTAL = frozenset(b"01234567")
_REGULAR = frozenset((b"0", b"\0", b"7"))
_KINDS = {b"1": "hard link", b"2": "symbolic link", b"3": "device", b"4": "device", b"5": "directory", b"6": "FIFO"}


class Member(Value):
    """A member of an archive: the place of its data, or the target of a link. ``kind`` is ``file`` or another type."""

    kind: str
    offset: int = 0
    size: int = 0
    link: str = ""


def read_members(fd: int, what: str) -> dict[str, Member]:
    """Return the members of the uncompressed archive in ``fd``, by name without ``./`` and a leading ``/``.

    Of several members with one name the last counts, as when tar unpacks them. Only headers are read, the data between
    them are skipped. Raises InvalidImage: not an archive, a name with ``..``, sparse members, a wrong size.
    """
    end = os.fstat(fd).st_size
    found: dict[str, Member] = {}
    offset = count = 0
    extension: dict[str, str] = {}
    while offset < end:
        header = os.pread(fd, BLOCK_BYTES, offset)
        if len(header) < BLOCK_BYTES:
            raise InvalidImage(what, "the archive is truncated in a header")
        if header.count(0) == BLOCK_BYTES:
            break
        count += 1
        if count > MEMBERS_LIMIT:
            raise InvalidImage(what, f"the archive has more than {MEMBERS_LIMIT} members")
        check_header(header, what)
        size, kind = size_of(header, extension, what), header[156:157]
        start = offset + BLOCK_BYTES
        if start + size > end:
            raise InvalidImage(what, "the archive is truncated, or the size of a member is wrong")
        if read := EXTENSIONS.get(kind):
            if size > EXTENSION_BYTES_LIMIT:
                raise InvalidImage(what, "a header of the archive is too large")
            extension |= read(os.pread(fd, size, start), what)
        else:
            name, member = _member(header, size, start, extension, what)
            found[name] = member
            extension = {}
        offset = start + (size + BLOCK_BYTES - 1) // BLOCK_BYTES * BLOCK_BYTES
    if extension:
        raise InvalidImage(what, "the archive ends after an extended header")
    return found


def check_header(header: bytes, what: str) -> None:
    """Raise InvalidImage when the block is not a header: its checksum is wrong (POSIX: the bytes, unsigned)."""
    stated = header[148:156].strip(b" \0")
    computed = sum(header[:148]) + sum(header[156:BLOCK_BYTES]) + 8 * 32
    if len(header) < BLOCK_BYTES or not stated or not _OCTAL.issuperset(stated) or int(stated, 8) != computed:
        raise InvalidImage(what, "invalid tar header")


def clean(name: str, what: str) -> str:
    """Return a member's name as tar would unpack it, relative to the current directory.

    >>> clean("./blobs//sha256/", "x"), clean("/etc", "x")
    ('blobs/sha256', 'etc')
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in name or len(name) > _NAME_BYTES_LIMIT:
        raise InvalidImage(what, f"a member of the archive has an invalid name {name[:80]!r}")
    return "/".join(parts)


def _member(header: bytes, size: int, start: int, extension: dict[str, str], what: str) -> tuple[str, Member]:
    name = extension.get("path") or name_of(header)
    flag = header[156:157]
    kind = _KINDS.get(flag, "file" if flag in _REGULAR else f"member of type {flag!r}")
    if kind == "file" and name.endswith("/"):
        kind = "directory"  # as Go's archive/tar and tarfile; tar itself only for archives older than POSIX
    check_size(flag, name, size, what)
    link = extension.get("linkpath") or text_of(header[157:257])
    return clean(name, what), Member(kind=kind, offset=start, size=size, link=link if flag in (b"1", b"2") else "")


def check_size(flag: bytes, name: str, size: int, what: str) -> None:
    """Raise InvalidImage for data of a member that has none, and for a sparse one; ``flag`` is its type."""
    if flag == b"S":
        raise InvalidImage(what, "sparse members are not supported")
    kind = "directory" if flag in _REGULAR and name.endswith("/") else _KINDS.get(flag)
    if size and kind:
        # Some programs skip the data here and some do not: they would see different members after it.
        raise InvalidImage(what, f"a {kind} of the archive has data")


def name_of(header: bytes) -> str:
    """Return the name in a header, with its prefix."""
    name = text_of(header[:100])
    # GNU's own format has times instead of a prefix, and another magic.
    prefix = text_of(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def size_of(header: bytes, extension: dict[str, str], what: str) -> int:
    """Return the size of a member's data. Raises InvalidImage."""
    # The size of an extended header overrides the one in the header; a program that ignores it sees other members
    # (CVE-2025-62518). It applies to the next member, never to another extended header in between.
    stated = extension.get("size", "") if header[156:157] not in EXTENSIONS else ""
    if stated:
        if len(stated) > 20 or not (stated.isascii() and stated.isdecimal()):
            raise InvalidImage(what, "a size in the archive is not a number")
        return int(stated)
    return number_of(header[124:136], "a size", what)


def number_of(field: bytes, name: str, what: str) -> int:
    """Return the number in a field, called ``name`` in errors. Raises InvalidImage."""
    if field[0] == 0x80:  # GNU: a binary number, for those beyond the octal digits
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if not _OCTAL.issuperset(digits):
        raise InvalidImage(what, f"{name} in the archive is not a number")
    return int(digits or b"0", 8)


def _pax(data: bytes, what: str) -> dict[str, str]:
    return {
        key.decode(): _checked(value, what)
        for key, value in records_of(data, what).items()
        if key in (b"path", b"linkpath", b"size")
    }


def records_of(data: bytes, what: str) -> dict[bytes, bytes]:
    """Parse the records ``LENGTH KEY=VALUE\\n`` of an extended header. Raises InvalidImage."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        digits = data[at : max(space, at)]
        end = at + int(digits) if digits.isdigit() else -1
        record = data[space + 1 : end]
        key, equals, value = record[:-1].partition(b"=")
        if not space < end <= len(data) or record[-1:] != b"\n" or not equals:
            raise InvalidImage(what, "an extended header of the archive is damaged")
        if key.startswith(b"GNU.sparse."):
            raise InvalidImage(what, "sparse members are not supported")
        if key in (b"path", b"linkpath", b"size"):
            _checked(value, what)
        found[key] = value
        at = end
    return found


def _global_pax(data: bytes, what: str) -> dict[str, str]:
    """Check a global header: nothing in it may change what the members are."""
    if _pax(data, what):
        raise InvalidImage(what, "a global header of the archive sets one name or size for all members")
    return {}


def extended(kind: bytes, data: bytes, what: str) -> dict[bytes, bytes]:
    """Return the records of an extended header of any type; those of GNU's types under the names of pax's."""
    if kind == b"x":
        return records_of(data, what)
    return {key.encode(): os.fsencode(value) for key, value in EXTENSIONS[kind](data, what).items()}


def _checked(value: bytes, what: str) -> str:
    if b"\0" in value or not value:
        raise InvalidImage(what, "an extended header of the archive is damaged")
    return value.decode("utf-8", "surrogateescape")


EXTENSIONS: dict[bytes, Callable[[bytes, str], dict[str, str]]] = {
    b"x": _pax,
    b"g": _global_pax,
    b"L": lambda data, what: {"path": _checked(data.rstrip(b"\0"), what)},
    b"K": lambda data, what: {"linkpath": _checked(data.rstrip(b"\0"), what)},
}


def text_of(field: bytes) -> str:
    """Return the text of a field, which ends with a NUL or with the field."""
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")
