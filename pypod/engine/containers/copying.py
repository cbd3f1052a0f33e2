"""Copy files into, out of and between containers, by the rules of podman-cp(1).

Both sides are descriptors before anything is copied: of the host's side, and of a container's root (``roots``), in
which every path is resolved by the kernel. What runs in the container may exchange any name meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat

from pypod.engine.containers import roots, users
from pypod.engine.core import observe
from pypod.engine.core.effects import Undoing
from pypod.engine.session import inside
from pypod.errors import InvalidSpec, PypodError, SystemFailure
from pypod.images.tar.entries import FILE, HARD_LINK
from pypod.images.trees import archives
from pypod.images.trees.items import Item
from pypod.images.trees.places import Root, plain
from pypod.images.trees.reading import Reader, is_kernels_own
from pypod.images.trees.writing import Writer
from pypod.model.value import Value
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from pypod.engine.containers.roots import ContainerRoot
    from pypod.engine.core.context import Context

_NOT_A_DIRECTORY = "destination must be a directory when copying a directory"
_NOT_A_DIRECTORY_FOR_TAR = "destination must be a directory when copying from stdin"
_NO_ARCHIVE = "source must be a (compressed) tar archive when copying from stdin"
_FROM_CONTAINER = "copying from container"
_HIDDEN = frozenset(("dev", "proc", "sys"))  # of a whole root
_MISSING = (errno.ENOENT, errno.ENOTDIR)


class Options(Value):
    """How to copy: everything belongs to the user of the target with ``archive``, else it keeps its ids.

    ``overwrite`` lets files replace directories and the reverse; ``pause`` freezes running containers meanwhile.
    """

    archive: bool = True
    overwrite: bool = False
    pause: bool = False


class Place(Value):
    """A path in a container, by its id; ``name`` is what the caller calls it, for messages."""

    container: str
    path: str
    name: str


class HostPath(Value):
    """An absolute path of the host; ``name`` is what the caller calls it, for messages."""

    path: str
    name: str


class _Source:
    """What is copied: an O_PATH descriptor, and the name that it has at the target, empty for a directory's content."""

    __slots__ = ("fd", "is_directory", "name")

    def __init__(self, fd: int, name: str) -> None:
        self.fd = fd
        self.name = name
        self.is_directory = stat.S_ISDIR(os.fstat(fd).st_mode)


class _Target:
    """Where it is copied to: an open directory, and the name that the copy gets there, empty for the source's own.

    ``shown`` is the directory's path in messages; it ends with a slash.
    """

    __slots__ = ("directory", "name", "shown")

    def __init__(self, directory: int, name: str, shown: str) -> None:
        self.directory = directory
        self.name = name
        self.shown = shown


def from_host(context: Context, source: HostPath, place: Place, options: Options) -> None:
    """Copy a file or directory of the host into a container."""
    if inside.is_needed(context):
        inside.call(context, from_host, source, place, options)
        return
    with Undoing() as stack:
        found = _host_source(stack, source)
        opened = _opened(context, stack, place, options)
        target = _container_target(stack, opened, place, found)
        with _Failing("copying to container"):
            items = Reader().items(found.fd, _top(found, target))
            stack.add(items.close)
            _write(stack, target, items, opened, options)


def to_host(context: Context, place: Place, target: HostPath, options: Options) -> None:
    """Copy a file or directory of a container to the host."""
    if inside.is_needed(context):
        inside.call(context, to_host, place, target, options)
        return
    with Undoing() as stack:
        opened = _opened(context, stack, place, options)
        found = _container_source(stack, opened, place)
        there = _host_target(stack, target, found)
        owner = (os.geteuid(), os.getegid()) if options.archive else None
        with _Failing("copying to host"):
            items = _read(context, opened, found, _top(found, there), devices=False)
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
        found = _container_source(stack, opened[source.container], source)
        there = _container_target(stack, opened[target.container], target, found)
        with _Failing("copying to container"):
            items = _read(context, opened[source.container], found, _top(found, there))
            stack.add(items.close)
            _write(stack, there, items, opened[target.container], options)


def as_tar(context: Context, place: Place, options: Options) -> Iterator[bytes]:
    """Yield a file or directory of a container as a tar archive."""
    if inside.is_needed(context):
        yield from inside.stream(context, as_tar, place, options)
        return
    with Undoing() as stack:
        opened = _opened(context, stack, place, options)
        found = _container_source(stack, opened, place)
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
        found = _container_source(stack, opened, place)
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
            if error.errno not in _MISSING:
                raise
            raise InvalidSpec("DEST_PATH", _NOT_A_DIRECTORY_FOR_TAR) from error
        stack.add(lambda: os.close(directory))
        whole = _checked_archive(decompressed(pieces, "stdin"))
        with _Failing("copying to container"):
            _write(stack, _Target(directory, "", path), archives.parsed(whole, "stdin"), opened, options, base=path)


def from_content(context: Context, pieces: Iterable[bytes], place: Place, options: Options) -> None:
    """Create a file with this content in a container."""
    if inside.is_needed(context):
        inside.call_with_input(context, pieces, _given_content, place, options)
        return
    import time

    with Undoing() as stack:
        opened = _opened(context, stack, place, options)
        target = _container_target(stack, opened, place, None)
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
    context: Context, opened: ContainerRoot, found: _Source, top: str, *, devices: bool = True
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
    stack: Undoing, target: _Target, items: Iterable[Item], opened: ContainerRoot, options: Options, base: str = ""
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


def _top(found: _Source, target: _Target) -> str:
    """Return the name of the copy in the target directory, empty for the content of a directory."""
    return target.name or found.name


def _is_content(path: str) -> bool:
    """Return whether a path asks for the content of a directory."""
    return path == "." or path.endswith("/.")


def _host_source(stack: Undoing, source: HostPath) -> _Source:
    path = source.path
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in _MISSING:
            raise
        raise _not_on_host(source) from error
    stack.add(lambda: os.close(fd))
    name = "" if _is_content(path) else os.path.basename(path.rstrip("/"))
    return _Source(fd, os.path.basename(os.path.realpath(path)) if name == ".." else name)


def _host_target(stack: Undoing, target: HostPath, found: _Source) -> _Target:
    """Return where a path of the host leads; as in podman, a link there to a file is replaced."""
    path = target.path
    try:
        status: os.stat_result | None = os.stat(path)
    except FileNotFoundError:
        status = None
    except NotADirectoryError as error:
        raise _not_on_host(target) from error
    if status is not None and stat.S_ISDIR(status.st_mode):
        directory, name = path, ""
    elif found.is_directory and status is not None:
        raise InvalidSpec("DEST_PATH", _NOT_A_DIRECTORY)
    elif path.endswith("/"):
        raise _not_on_host(target)
    else:
        directory, name = os.path.split(path)
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in _MISSING:
            raise
        raise _not_on_host(target) from error
    stack.add(lambda: os.close(fd))
    return _Target(fd, name, os.path.dirname(target.name) if name else target.name)


def _not_on_host(path: HostPath) -> InvalidSpec:
    return InvalidSpec("PATH", f'"{path.name}" could not be found on the host: no such file or directory')


def _not_in_container(place: Place) -> InvalidSpec:
    message = f'"{place.path}" could not be found on container {place.name}: no such file or directory'
    return InvalidSpec("PATH", message)


def _container_source(stack: Undoing, opened: ContainerRoot, place: Place) -> _Source:
    path = plain(place.path, opened.spec.working_directory)
    try:
        fd = opened.root.look(path)
    except OSError as error:
        if error.errno not in (*_MISSING, errno.ELOOP):
            raise
        raise _not_in_container(place) from error
    stack.add(lambda: os.close(fd))
    return _Source(fd, "" if _is_content(place.path) else _resolved_name(opened.root, fd, path))


def _resolved_name(root: Root, fd: int, path: str) -> str:
    """Return the name of what was found at a path: where that is a link, podman takes the name of its target."""
    name = os.path.basename(path)
    if not name:
        return ""
    parent = root.look(os.path.dirname(path))
    try:
        link = stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except OSError:
        link = False
    finally:
        os.close(parent)
    return os.path.basename(os.readlink(f"/proc/self/fd/{fd}")) if link else name


def _container_target(stack: Undoing, opened: ContainerRoot, place: Place, found: _Source | None) -> _Target:
    path, root = plain(place.path, opened.spec.working_directory), opened.root
    closed = place.path.endswith("/")
    is_directory = found is not None and found.is_directory
    try:
        fd = root.look(path)
    except OSError as error:
        if error.errno not in (*_MISSING, errno.ELOOP):
            raise
        if closed or _is_content(place.path):
            raise _not_in_container(place) from error
    else:
        there = stat.S_ISDIR(os.fstat(fd).st_mode)
        os.close(fd)
        if there:
            directory = root.enter(path)
            stack.add(lambda: os.close(directory))
            return _Target(directory, "", path)
        if is_directory:
            raise InvalidSpec("DEST_PATH", _NOT_A_DIRECTORY)
        if closed:
            message = f"copying to container: {path}: exists but is not a directory"
            raise SystemFailure("copy", errno.ENOTDIR, message)
    try:
        parent, name = root.place(path)
    except OSError as error:
        if error.errno not in (*_MISSING, errno.ELOOP):
            raise
        raise _not_in_container(place) from error
    stack.add(lambda: os.close(parent))
    directory = os.open(f"/proc/self/fd/{parent}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.add(lambda: os.close(directory))
    return _Target(directory, name, os.path.dirname(path))


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
