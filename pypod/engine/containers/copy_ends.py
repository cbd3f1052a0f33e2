"""The two ends of a copy: what a path of the host or of a container denotes, as descriptors."""

from __future__ import annotations

import errno
import os
import stat

from pypod.errors import InvalidSpec, SystemFailure
from pypod.images.trees.places import Root, plain
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.containers.roots import ContainerRoot
    from pypod.engine.core.effects import Undoing

MISSING = (errno.ENOENT, errno.ENOTDIR)
_NOT_A_DIRECTORY = "destination must be a directory when copying a directory"


class Place(Value):
    """A path in a container, by its id; ``name`` is what the caller calls it, for messages."""

    container: str
    path: str
    name: str


class HostPath(Value):
    """An absolute path of the host; ``name`` is what the caller calls it, for messages."""

    path: str
    name: str


class Source:
    """What is copied: an O_PATH descriptor, and the name that it has at the target, empty for a directory's content."""

    __slots__ = ("fd", "is_directory", "name")

    def __init__(self, fd: int, name: str) -> None:
        self.fd = fd
        self.name = name
        self.is_directory = stat.S_ISDIR(os.fstat(fd).st_mode)


class Target:
    """Where it is copied to: an open directory, and the name that the copy gets there, empty for the source's own.

    ``shown`` is the directory's path in messages; it ends with a slash.
    """

    __slots__ = ("directory", "name", "shown")

    def __init__(self, directory: int, name: str, shown: str) -> None:
        self.directory = directory
        self.name = name
        self.shown = shown


def name_at(found: Source, target: Target) -> str:
    """Return the name of the copy in the target directory, empty for the content of a directory."""
    return target.name or found.name


def _is_content(path: str) -> bool:
    """Return whether a path asks for the content of a directory."""
    return path == "." or path.endswith("/.")


def host_source(stack: Undoing, source: HostPath) -> Source:
    path = source.path
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in MISSING:
            raise
        raise _not_on_host(source) from error
    stack.add(lambda: os.close(fd))
    name = "" if _is_content(path) else os.path.basename(path.rstrip("/"))
    return Source(fd, os.path.basename(os.path.realpath(path)) if name == ".." else name)


def host_target(stack: Undoing, target: HostPath, found: Source) -> Target:
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
        if error.errno not in MISSING:
            raise
        raise _not_on_host(target) from error
    stack.add(lambda: os.close(fd))
    return Target(fd, name, os.path.dirname(target.name) if name else target.name)


def _not_on_host(path: HostPath) -> InvalidSpec:
    return InvalidSpec("PATH", f'"{path.name}" could not be found on the host: no such file or directory')


def _not_in_container(place: Place) -> InvalidSpec:
    message = f'"{place.path}" could not be found on container {place.name}: no such file or directory'
    return InvalidSpec("PATH", message)


def container_source(stack: Undoing, opened: ContainerRoot, place: Place) -> Source:
    path = plain(place.path, opened.spec.working_directory)
    try:
        fd = opened.root.look(path)
    except OSError as error:
        if error.errno not in (*MISSING, errno.ELOOP):
            raise
        raise _not_in_container(place) from error
    stack.add(lambda: os.close(fd))
    return Source(fd, "" if _is_content(place.path) else _resolved_name(opened.root, fd, path))


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


def container_target(stack: Undoing, opened: ContainerRoot, place: Place, found: Source | None) -> Target:
    path, root = plain(place.path, opened.spec.working_directory), opened.root
    closed = place.path.endswith("/")
    is_directory = found is not None and found.is_directory
    try:
        fd = root.look(path)
    except OSError as error:
        if error.errno not in (*MISSING, errno.ELOOP):
            raise
        if closed or _is_content(place.path):
            raise _not_in_container(place) from error
    else:
        there = stat.S_ISDIR(os.fstat(fd).st_mode)
        os.close(fd)
        if there:
            directory = root.enter(path)
            stack.add(lambda: os.close(directory))
            return Target(directory, "", path)
        if is_directory:
            raise InvalidSpec("DEST_PATH", _NOT_A_DIRECTORY)
        if closed:
            message = f"copying to container: {path}: exists but is not a directory"
            raise SystemFailure("copy", errno.ENOTDIR, message)
    try:
        parent, name = root.place(path)
    except OSError as error:
        if error.errno not in (*MISSING, errno.ELOOP):
            raise
        raise _not_in_container(place) from error
    stack.add(lambda: os.close(parent))
    directory = os.open(f"/proc/self/fd/{parent}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.add(lambda: os.close(directory))
    return Target(directory, name, os.path.dirname(path))
