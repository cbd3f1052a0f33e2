"""Items as a tar archive, and a tar archive as items, both as streams."""

from __future__ import annotations

import os

from pypod.errors import InvalidImage
from pypod.images.tar import entries, sparse
from pypod.images.trees.items import Item

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ATTRIBUTE = b"SCHILY.xattr."


def encoded(items: Iterable[Item], owner: tuple[int, int] | None = None) -> Iterator[bytes]:
    """Yield a tar archive of items, all of them with one owner if given."""
    for item in items:
        item.uid, item.gid = owner or (item.uid, item.gid)
        yield _entry(item).encode()
        if item.kind == entries.FILE:
            yield from content_of(item)
            yield entries.padding(item.size)
    yield entries.END


def content_of(item: Item) -> Iterator[bytes]:
    """Yield the content of a file, exactly ``size`` bytes; padded with zeros if it shrinks meanwhile."""
    if item.pieces is not None:
        yield from item.pieces
    else:
        yield from sparse.content(item.fd, 0, item.size)


def _entry(item: Item) -> entries.Entry:
    is_device = item.kind in (entries.CHARACTER_DEVICE, entries.BLOCK_DEVICE)
    return entries.Entry(
        path=os.fsencode(item.path),
        type=item.kind,
        link=os.fsencode(item.link),
        mode=item.mode,
        uid=item.uid,
        gid=item.gid,
        size=item.size if item.kind == entries.FILE else 0,
        mtime_ns=item.mtime_ns,
        device=(os.major(item.device), os.minor(item.device)) if is_device else (0, 0),
        records=tuple((_ATTRIBUTE + os.fsencode(name), value) for name, value in item.attributes.items()),
    )


def parsed(pieces: Iterable[bytes], what: str) -> Iterator[Item]:
    """Yield the members of an uncompressed archive. The content of a file must be read before the next one.

    Raises InvalidImage about ``what``: not an archive, a name with ``..``, a wrong size, sparse members.
    """
    from pypod.images.tar.members import members

    for member in members(pieces, what):
        if not member.name:  # the directory copied to
            continue
        attributes = {
            os.fsdecode(key.removeprefix(_ATTRIBUTE)): value
            for key, value in member.records
            if key.startswith(_ATTRIBUTE) and _is_carried(os.fsdecode(key.removeprefix(_ATTRIBUTE)))
        }
        if member.kind not in "0123456":
            raise InvalidImage(what, f"a member of the archive has the unknown type {member.kind!r}")
        yield Item(
            member.name,
            member.kind,
            mode=member.mode,
            uid=member.uid,
            gid=member.gid,
            size=member.size,
            mtime_ns=member.mtime_ns,
            device=os.makedev(*member.device),
            link=member.link,
            attributes=attributes,
            pieces=member.pieces,
        )


def _is_carried(name: str) -> bool:
    from pypod.images.layers.stack import is_carried

    return is_carried(name)
