"""Copy files into, out of and between containers, by the rules of podman-cp(1).

Both sides are descriptors before anything is copied: of the host's side, and of a container's root (``roots``), in
which every path is resolved by the kernel. What runs in the container may exchange any name meanwhile.
"""

from __future__ import annotations

import errno
import os

from pypod.engine.containers import roots, users
from pypod.engine.containers.copy_ends import (
    MISSING,
    HostPath,
    Place,
    Source,
    Target,
    container_source,
    container_target,
    host_source,
    host_target,
    name_at,
)
from pypod.engine.core import observe
from pypod.engine.core.effects import Undoing
from pypod.engine.session import inside
from pypod.errors import InvalidSpec, PypodError, SystemFailure
from pypod.images.tar.entries import FILE, HARD_LINK
from pypod.images.trees import archives
from pypod.images.trees.items import Item
from pypod.images.trees.places import plain
from pypod.images.trees.reading import Reader, is_kernels_own
from pypod.images.trees.writing import Writer
from pypod.model.value import Value
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from pypod.engine.containers.roots import ContainerRoot
    from pypod.engine.core.context import Context

_NOT_A_DIRECTORY_FOR_TAR = "destination must be a directory when copying from stdin"
_NO_ARCHIVE = "source must be a (compressed) tar archive when copying from stdin"
_FROM_CONTAINER = "copying from container"
_HIDDEN = frozenset(("dev", "proc", "sys"))  # of a whole root


class Options(Value):
    """How to copy: everything belongs to the user of the target with ``archive``, else it keeps its ids.

    ``overwrite`` lets files replace directories and the reverse; ``pause`` freezes running containers meanwhile.
    """

    archive: bool = True
    overwrite: bool = False
    pause: bool = False


def from_host(context: Context, source: HostPath, place: Place, options: Options) -> None:
    """Copy a file or directory of the host into a container."""
    if inside.is_needed(context):
        inside.call(context, from_host, source, place, options)
        return
    with Undoing() as stack:
        found = host_source(stack, source)
        opened = _opened(context, stack, place, options)
        target = container_target(stack, opened, place, found)
        with _Failing("copying to container"):
            items = Reader().items(found.fd, name_at(found, target))
            stack.add(items.close)
            _write(stack, target, items, opened, options)


def to_host(context: Context, place: Place, target: HostPath, options: Options) -> None:
    """Copy a file or directory of a container to the host."""
    if inside.is_needed(context):
        inside.call(context, to_host, place, target, options)
        return
    with Undoing() as stack:
        opened = _opened(context, stack, place, options)
        found = container_source(stack, opened, place)
        there = host_target(stack, target, found)
        owner = (os.geteuid(), os.getegid()) if options.archive else None
        with _Failing("copying to host"):
            items = _read(context, opened, found, name_at(found, there), devices=False)
            stack.add(items.close)
            writer = Writer(there.directory, there.shown, owner=owner, overwrite=options.overwrite, devices=False)
            stack.add(writer.close)
            writer.write(items)


def between(context: Context, source: Place, target: Place, options: Options) -> None:
    """Copy a file or directory of a container into another one, or to another place in the same one."""
    if inside.is_needed(context):
        inside.call(context, between, source, target, options)
        return
    with Undoing() as stack:
        # in the order of their ids: two clients that copy in opposite directions must not wait for each other
        places = {place.container: place for place in (source, target)}
        opened = {one: _opened(context, stack, places[one], options) for one in sorted(places)}
        found = container_source(stack, opened[source.container], source)
        there = container_target(stack, opened[target.container], target, found)
        with _Failing("copying to container"):
            items = _read(context, opened[source.container], found, name_at(found, there))
            stack.add(items.close)
            _write(stack, there, items, opened[target.container], options)


def as_tar(context: Context, place: Place, options: Options) -> Iterator[bytes]:
    """Yield a file or directory of a container as a tar archive."""
    if inside.is_needed(context):
        yield from inside.stream(context, as_tar, place, options)
        return
    with Undoing() as stack:
        opened = _opened(context, stack, place, options)
        found = container_source(stack, opened, place)
        owner = users.ids_of(opened.root, opened.spec.user) if options.archive else None
        with _Failing(_FROM_CONTAINER):
            items = _read(context, opened, found, found.name)
            stack.add(items.close)
            yield from archives.encoded(items, owner)


def content(context: Context, place: Place, options: Options) -> Iterator[bytes]:
    """Yield the content of a file of a container. Raises InvalidSpec for anything else."""
    if inside.is_needed(context):
        yield from inside.stream(context, content, place, options)
        return
    with Undoing() as stack:
        opened = _opened(context, stack, place, options)
        found = container_source(stack, opened, place)
        with _Failing(_FROM_CONTAINER):
            items = _read(context, opened, found, found.name)
            stack.add(items.close)
            for item in () if found.is_directory else items:
                if item.kind in (FILE, HARD_LINK):
                    yield from archives.content_of(item)
                    return
        raise InvalidSpec("path", f'"{place.path}" in container {place.name} is not a regular file')


def from_tar(context: Context, pieces: Iterable[bytes], place: Place, options: Options) -> None:
    """Unpack a tar archive, compressed or not, into a directory of a container."""
    if inside.is_needed(context):
        inside.call_with_input(context, pieces, _given_tar, place, options)
        return
    from pypod.images.layers.compression import decompressed

    with Undoing() as stack:
        opened = _opened(context, stack, place, options)
        path = plain(place.path, opened.spec.working_directory)
        try:
            directory = opened.root.enter(path)
        except OSError as error:
            if error.errno not in MISSING:
                raise
            raise InvalidSpec("DEST_PATH", _NOT_A_DIRECTORY_FOR_TAR) from error
        stack.add(lambda: os.close(directory))
        whole = _checked_archive(decompressed(pieces, "stdin"))
        with _Failing("copying to container"):
            _write(stack, Target(directory, "", path), archives.parsed(whole, "stdin"), opened, options, base=path)


def from_content(context: Context, pieces: Iterable[bytes], place: Place, options: Options) -> None:
    """Create a file with this content in a container."""
    if inside.is_needed(context):
        inside.call_with_input(context, pieces, _given_content, place, options)
        return
    import time

    with Undoing() as stack:
        opened = _opened(context, stack, place, options)
        target = container_target(stack, opened, place, None)
        if not target.name:
            raise InvalidSpec("path", f'"{place.path}" in container {place.name} is a directory')
        item = Item(target.name, mode=0o644, mtime_ns=time.time_ns(), pieces=iter(pieces))
        with _Failing("copying to container"):
            _write(stack, target, (item,), opened, options)


def _given_tar(context: Context, place: Place, options: Options) -> None:
    from_tar(context, inside.given(), place, options)


def _given_content(context: Context, place: Place, options: Options) -> None:
    from_content(context, inside.given(), place, options)


class _Failing:
    """Adds to errors of the system which of the two sides they concern, in podman's words."""

    def __init__(self, words: str) -> None:
        self._words = words

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, SystemFailure):
            if error.message.startswith(_FROM_CONTAINER):
                return
            message = f"{self._words}: {error.message}"
            raise SystemFailure(error.operation, error.errno, message, hint=error.hint) from error
        if isinstance(error, OSError) and not isinstance(error, PypodError):
            reason = os.strerror(error.errno or 0).lower()
            raise SystemFailure("copy", error.errno or 0, f"{self._words}: {reason}") from error


def _opened(context: Context, stack: Undoing, place: Place, options: Options) -> ContainerRoot:
    opened = roots.ContainerRoot(context, place.container)
    stack.add(opened.close)
    opened.open()
    if options.pause and opened.running:
        from pypod.engine.lifecycle import pausing

        record = records.find_container(context.database, place.container)
        if observe.state_of(context, record.id).status == pausing.RUNNING:
            pausing.freeze(context, record)
            stack.add(lambda: pausing.thaw(context, record))
    return opened


def _read(
    context: Context, opened: ContainerRoot, found: Source, top: str, *, devices: bool = True
) -> Generator[Item, None, None]:
    whole = found.is_directory and os.path.samestat(os.fstat(found.fd), os.fstat(opened.root.fd))
    reader = Reader(
        maps=opened.maps,
        devices=devices,
        lenient=context.rootless and opened.running,
        hidden=_HIDDEN if whole else frozenset(),
    )
    none = True
    if not (found.is_directory and is_kernels_own(found.fd)):
        items = reader.items(found.fd, top)
        try:
            for item in items:
                none = False
                yield item
        finally:
            items.close()
    if none and not (found.is_directory and not top):
        raise SystemFailure("copy", errno.ENOENT, f"{_FROM_CONTAINER}: copied no items: no such file or directory")


def _write(
    stack: Undoing, target: Target, items: Iterable[Item], opened: ContainerRoot, options: Options, base: str = ""
) -> None:
    owner = users.ids_of(opened.root, opened.spec.user) if options.archive else None
    writer = Writer(
        target.directory,
        target.shown,
        owner=(0, 0) if opened.has_one_id else owner,
        maps=opened.maps,
        overwrite=options.overwrite,
        enter=(lambda path: opened.root.enter(f"{base}/{path}")) if base else None,
    )
    stack.add(writer.close)
    writer.write(items)


def _checked_archive(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Return an archive's pieces after a look at its first block. Raises InvalidSpec when it is no archive."""
    from pypod.errors import InvalidImage
    from pypod.images.tar.entries import BLOCK_BYTES
    from pypod.images.tar.headers import check_header

    head = b""
    try:
        while len(head) < BLOCK_BYTES and (piece := next(pieces, b"")):
            head += piece
        block = head[:BLOCK_BYTES]
        if len(block) < BLOCK_BYTES or block.count(0) < BLOCK_BYTES:
            check_header(block, "stdin")
    except InvalidImage as error:
        raise InvalidSpec("-", _NO_ARCHIVE) from error

    def whole() -> Iterator[bytes]:
        yield head
        yield from pieces

    return whole()
