"""Pull images from archives and directories, and save them there."""

from __future__ import annotations

import os
from contextlib import suppress

from pypod.engine.core.boundary import Boundary
from pypod.engine.images import pulling, trusting
from pypod.engine.images.stored import StoredImage
from pypod.errors import InvalidSpec
from pypod.images.archive.detect import detect, open_source
from pypod.images.new_file import temporary_file, write_pieces
from pypod.images.registry.fetch import fetched
from pypod.model.images.reference import full_name, is_address, parse
from pypod.model.reports.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pypod.engine.core.context import Context
    from pypod.images.ends import Destination
    from pypod.model.images.image import Platform

FORMATS = ("oci-dir", "oci-archive", "docker-dir", "docker-archive")


def pull_from(
    context: Context,
    transport: str,
    rest: str,
    platform: Platform | None,
    progress: Callable[[Progress], None] | None,
    policy: str = "",
) -> StoredImage:
    """Import the single image that ``transport:rest`` refers to; see ``Images.pull``."""
    what = f"{transport}:{rest}"
    with _opened(what), open_source(transport, rest) as source:
        place, _, image = rest.partition(":")
        candidate = trusting.of_file(transport, place, image, policy)
        names = _names_of_layout(place) if transport == "oci" else []
        names = names or _full_names(_names_in(source))
        names = names or ([_name_of_path(place)] if transport in ("oci", "dir") else [])
        identifier = pulling.pull(
            context, source, what, names=names, platform=platform, progress=progress, candidate=candidate
        )
    return StoredImage(context, identifier, names[0] if names else "")


def load(
    context: Context, path: str, fd: int, progress: Callable[[Progress], None] | None, policy: str = ""
) -> list[tuple[StoredImage, tuple[str, ...]]]:
    """Import all images of an archive or directory, each with the names it has there; see ``Images.load``."""
    if fd < 0 and is_address(path):
        fd = temporary_file()
        try:
            with _opened(path):
                write_pieces(fd, fetched(path))
                os.lseek(fd, 0, os.SEEK_SET)
            return load(context, path, fd, progress, policy)
        finally:
            os.close(fd)
    loaded = []
    with _opened(path), detect(path, fd) as source:
        stored = source.images()
        in_layout = fd < 0 and len(stored) == 1 and os.path.exists(f"{path}/index.json")
        for one in stored:
            from_path = _names_of_layout(path) if in_layout else []
            names = from_path or _full_names(one.names)
            what = names[0] if names else path
            if progress is not None:
                progress(Progress(state="loading", name=what))
            candidate = trusting.of_file(source.transport, path, _image_of(source.transport, one.names), policy)
            with source.select(one.choice) as chosen:
                identifier = pulling.pull(context, chosen, what, names=names, progress=progress, candidate=candidate)
            told = [name.removesuffix(":latest") for name in from_path]  # podman's words
            loaded.append((StoredImage(context, identifier, names[0] if names else ""), tuple(told or names)))
    return loaded


def _image_of(transport: str, names: Sequence[str]) -> str:
    """Return the part after the path in podman's name of an image in an archive."""
    return names[0] if transport == "docker-archive" and names else ""


def save(
    images: Sequence[StoredImage],
    path: str,
    form: str,
    *,
    fd: int = -1,
    names: Sequence[Sequence[str]] = (),
    compress: bool = False,
    uncompressed: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> None:
    """Write images to an archive or a directory; see ``Images.save``."""
    from pypod.engine.images import copying
    from pypod.model.images.form import OCI, V2S2

    if form not in FORMATS:
        raise InvalidSpec("--format", f"format value must be one of {' '.join(FORMATS)}")
    if len(images) > 1 and form != "docker-archive":
        raise InvalidSpec("--format", f'unsupported format "{form}" for saving multiple images (only docker-archive)')
    family = {"oci": OCI, "docker": V2S2}[form.partition("-")[0]]
    wanted = copying.Form(family=family, compress_plain=compress, plain=uncompressed)
    chosen = [*names] or [() for _ in images]
    with Boundary(f"write {path}"), _destination(form, path, fd, chosen[0]) as destination:
        for number, (image, own) in enumerate(zip(images, chosen, strict=True)):
            one = destination if not number else destination.another(tuple(own))  # type: ignore[attr-defined]
            copying.copy(image, one, wanted, progress)


def _destination(form: str, path: str, fd: int, names: Sequence[str]) -> Destination:
    """Open the destination of ``save``. An OCI layout takes one name, a docker archive any number."""
    name = names[0] if names else ""
    if form == "docker-dir":
        from pypod.images.archive.dir import DirDestination

        return DirDestination(path)
    if form == "oci-dir":
        from pypod.images.archive.layout_writer import LayoutDestination

        return LayoutDestination(path, name)
    if form == "docker-archive" and fd < 0 and os.path.isfile(path) and os.path.getsize(path):
        reason = "docker-archive doesn't support modifying existing images"
        raise InvalidSpec("--output", reason, hint=f"remove {path}")
    from pypod.images.archive.docker_writer import DockerArchiveDestination
    from pypod.images.archive.layout_writer import OciArchiveDestination
    from pypod.images.tar.writer import TarWriter

    writer = TarWriter(path, fd)
    return (
        OciArchiveDestination(writer, name) if form == "oci-archive" else DockerArchiveDestination(writer, tuple(names))
    )


def _opened(what: str) -> Boundary:
    return Boundary(f"read {what}")


def _names_in(source: object) -> Iterable[str]:
    """Return the names of the chosen image, if the archive gives any."""
    found = source.images()  # type: ignore[attr-defined]
    return found[0].names if len(found) == 1 else ()


def _full_names(names: Iterable[str]) -> list[str]:
    """Return the names of an archive as full names; invalid ones are dropped, since an archive may contain anything."""
    found = []
    for name in names:
        with suppress(InvalidSpec):
            found.append(full_name(name))
    return found


def _names_of_layout(path: str) -> list[str]:
    """Return podman's name for an image from a directory with an OCI layout, whatever its annotations: localhost/PATH.

    Empty when the path makes no valid name; podman fails there.
    """
    with suppress(InvalidSpec):
        return [str(parse(f"localhost/{path.strip('/')}").tagged())]
    return []


def _name_of_path(path: str) -> str:
    """Return podman's name for an image from a directory: localhost/PATH."""
    cleaned = path.strip("./").lower()
    with suppress(InvalidSpec):
        return str(parse(f"localhost/{cleaned}").tagged())
    return "localhost/image:latest"
