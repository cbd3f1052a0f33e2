"""The content of volumes as tar archives."""

from __future__ import annotations

import os

from pypod.engine.core.boundary import Boundary
from pypod.engine.session import inside, session
from pypod.engine.storage import volume_files, volume_mounts
from pypod.errors import InvalidSpec, NoSuchVolume
from pypod.store import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from pypod.engine.core.context import Context
    from pypod.model.volume import VolumeRecord

_PIECE_BYTES = 1 << 20


def _record(context: Context, name: str) -> VolumeRecord:
    record = volumes.named(context.database, name)
    if record is None:
        raise NoSuchVolume(name)
    return record


def export(context: Context, name: str) -> Iterator[bytes]:
    """Yield a tar of a volume's files in pieces, without an entry for its root, as podman's."""
    from pypod.images.layers.pack import tree

    if inside.is_needed(context):
        volume_mounts.require_directory(_record(context, name))
        yield from inside.stream(context, export, name)
        return
    record = _record(context, name)
    volume_files.ensure(context, record)
    with Boundary(f"export volume {name}"), volume_mounts.Mounted(context, record) as path:
        yield from tree(path, root=False)


def import_(context: Context, name: str, source: str | os.PathLike[str] | BinaryIO | Iterable[bytes]) -> None:
    """Add the files of an archive to a volume; see ``Volume.import_``."""
    pieces = _pieces(source)
    if inside.is_needed(context):
        volume_mounts.require_directory(_record(context, name))
        inside.call_with_input(context, pieces, _import_given, name)
    else:
        _import(context, name, pieces)


def _import_given(context: Context, name: str) -> None:
    _import(context, name, inside.given())


def _import(context: Context, name: str, pieces: Iterable[bytes]) -> None:
    from pypod.images.layers.unpack import Owners, add

    record = _record(context, name)
    volume_files.ensure(context, record)
    own = session.of(context)
    owners = None if own is None else Owners(one_id=own.has_one_id)
    with Boundary(f"import into volume {name}"), volume_mounts.Mounted(context, record) as path:
        add(pieces, path, owners=owners)


def _pieces(source: str | os.PathLike[str] | BinaryIO | Iterable[bytes]) -> Iterable[bytes]:
    if isinstance(source, str | os.PathLike):
        try:
            return _read(open(source, "rb"))
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            raise InvalidSpec("SOURCE", f"open {os.fspath(source)}: {reason}") from error
    read = getattr(source, "read", None)
    return iter(lambda: read(_PIECE_BYTES), b"") if read is not None else source


def _read(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
