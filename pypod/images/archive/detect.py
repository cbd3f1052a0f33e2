"""Open images in files: by transport, as in ``oci-archive:FILE:TAG``, or by detecting the format.

>>> open_source("ftp", "x")
Traceback (most recent call last):
pypod.errors.InvalidSpec: unknown transport ftp: use one of dir, docker-archive, oci, oci-archive
"""

from __future__ import annotations

import os
import stat

from pypod.errors import InvalidImage, InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pypod.images.archive.archive import Archive
    from pypod.images.archive.files import Files
    from pypod.images.ends import Archived, Destination

    Opener = Callable[[str, str], Archived]
    Maker = Callable[[str, str, tuple[str, ...]], Destination]

_OPENING = {  # what podman says that it was doing
    "dir": "open {path}/manifest.json",
    "docker-archive": 'opening file "{path}": open {path}',
    "oci": "initializing source oci:{path}:{choice}: open {path}/index.json",
    "oci-archive": "creating temp directory: open {path}",
}
_NO_MATCH = "payload does not match any of the supported image formats"


def open_source(transport: str, rest: str) -> Archived:
    """Open the image ``transport:rest``: ``FILE[:TAG]``, ``FILE[:@N]`` or ``DIR``; a context manager.

    Raises InvalidSpec for an unknown transport and, in podman's words, for what cannot be opened; InvalidImage for
    another format. A missing tag is reported only when its manifest is read.
    """
    opener = _row(transport)[0]
    path, choice = _split(transport, rest)
    try:
        return opener(path, choice)
    except OSError as error:
        what = _OPENING[transport].format(path=path, choice=choice)
        raise InvalidSpec(f"{transport}:{rest}", f"{what}: {(error.strerror or str(error)).lower()}") from error


def open_destination(transport: str, rest: str, names: tuple[str, ...] = ()) -> Destination:
    """Open ``transport:rest`` for writing; a context manager. ``names`` are additional names for a docker archive.

    Raises InvalidSpec for an unknown transport, or for an existing file that must not be overwritten. Raises OSError.
    """
    return _row(transport)[1](*_split(transport, rest), names)


def detect(path: str, fd: int = -1) -> Archived:
    """Open the image or archive at ``path`` or in the descriptor ``fd``, in any of podman-load(1)'s four formats.

    ``images()`` of the result lists the images and ``select`` opens one. Raises OSError, and InvalidImage with
    the mismatch for each format, in podman's words.
    """
    if fd < 0 and stat.S_ISDIR(os.stat(path).st_mode):
        return _detect_directory(path)
    from pypod.images.archive.archive import Archive

    try:
        files = Archive(path, fd)
    except InvalidImage as error:
        raise _no_match({"oci-archive": str(error), "docker-archive": str(error)}) from error
    if "index.json" in files:
        return _layout(files, "", "oci-archive")
    if "manifest.json" in files:
        return _docker(files, "")
    files.close()
    missing = "no such file or directory"
    raise _no_match({"oci-archive": f"index.json: {missing}", "docker-archive": f"manifest.json: {missing}"})


def _detect_directory(path: str) -> Archived:
    names = set(os.listdir(path))
    if "index.json" in names:
        return _oci_source(path, "")
    if "manifest.json" in names:
        return _dir_source(path, "")
    missing = "no such file or directory"
    raise _no_match({"oci": f"open {path}/index.json: {missing}", "dir": f"open {path}/manifest.json: {missing}"})


def _no_match(reasons: dict[str, str]) -> InvalidImage:
    return InvalidImage(_NO_MATCH, "".join(f"\n * {transport}: {reason}" for transport, reason in reasons.items()))


def _split(transport: str, rest: str) -> tuple[str, str]:
    """Return path and choice. A path contains no colon, except for ``dir``, which has no choice either."""
    path, _, choice = (rest, "", "") if transport == "dir" else rest.partition(":")
    if not path or "\0" in rest:
        raise InvalidSpec(f"{transport}:{rest}", f"{transport}:{rest!r}: a path is missing")
    return path, choice


def _layout(files: Files, choice: str, transport: str) -> Archived:
    from pypod.images.archive.layout import LayoutSource

    return LayoutSource(files, choice, transport=transport)


def _docker(files: Archive, choice: str) -> Archived:
    from pypod.images.archive.docker import DockerArchiveSource

    files.links = True  # docker before 25 stores a repeated layer as a link
    return DockerArchiveSource(files, choice)


def _oci_source(path: str, choice: str) -> Archived:
    from pypod.images.archive.files import Directory

    return _layout(Directory(path), choice, "oci")


def _oci_archive_source(path: str, choice: str) -> Archived:
    from pypod.images.archive.archive import Archive

    return _layout(Archive(path), choice, "oci-archive")


def _docker_archive_source(path: str, choice: str) -> Archived:
    from pypod.images.archive.archive import Archive

    return _docker(Archive(path), choice)


def _dir_source(path: str, _: str) -> Archived:
    from pypod.images.archive.dir import DirSource

    return DirSource(path)


def _oci_destination(path: str, choice: str, _: tuple[str, ...]) -> Destination:
    from pypod.images.archive.layout_writer import LayoutDestination

    return LayoutDestination(path, choice)


def _oci_archive_destination(path: str, choice: str, _: tuple[str, ...]) -> Destination:
    from pypod.images.archive.layout_writer import OciArchiveDestination
    from pypod.images.tar.writer import TarWriter

    return OciArchiveDestination(TarWriter(path), choice)


def _docker_archive_destination(path: str, choice: str, names: tuple[str, ...]) -> Destination:
    from pypod.images.archive.docker_writer import DockerArchiveDestination
    from pypod.images.tar.writer import TarWriter
    from pypod.model.images.reference import DOCKER_IO, full_name

    if os.path.isfile(path) and os.path.getsize(path):
        raise InvalidSpec(path, "docker-archive doesn't support modifying existing images", hint=f"remove {path}")
    own = (full_name(choice, DOCKER_IO),) if choice else ()
    return DockerArchiveDestination(TarWriter(path), (*own, *names))


def _dir_destination(path: str, _: str, __: tuple[str, ...]) -> Destination:
    from pypod.images.archive.dir import DirDestination

    return DirDestination(path)


def _row(transport: str) -> tuple[Opener, Maker]:
    row = _TRANSPORTS.get(transport)
    if row is None:
        raise InvalidSpec("transport", f"unknown transport {transport}", hint=f"use one of {', '.join(_TRANSPORTS)}")
    return row


_TRANSPORTS: dict[str, tuple[Opener, Maker]] = {
    "dir": (_dir_source, _dir_destination),
    "docker-archive": (_docker_archive_source, _docker_archive_destination),
    "oci": (_oci_source, _oci_destination),
    "oci-archive": (_oci_archive_source, _oci_archive_destination),
}
