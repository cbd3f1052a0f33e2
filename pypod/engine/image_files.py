"""Images from archives and directories, and into them."""

from __future__ import annotations

from contextlib import suppress

from pypod.engine import pulling
from pypod.engine.boundary import Boundary
from pypod.engine.image import Image
from pypod.errors import InvalidSpec
from pypod.images.detect import detect, open_source
from pypod.model.reference import is_short, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pypod.engine.engine import Engine
    from pypod.engine.pulling import Progress
    from pypod.model.image import Platform


def pull_from(
    engine: Engine,
    transport: str,
    rest: str,
    platform: Platform | None,
    progress: Callable[[Progress], None] | None,
) -> Image:
    """Bring the one image that ``transport:rest`` names; see ``Images.pull``."""
    what = f"{transport}:{rest}"
    with _opened(what), open_source(transport, rest) as source:
        names = _full_names(_names_in(source))
        names = names or ([_name_of_path(rest.partition(":")[0])] if transport in ("oci", "dir") else [])
        identifier = pulling.pull(engine, source, what, names=names, platform=platform, progress=progress)
    return Image(engine, identifier, names[0] if names else "")


def load(engine: Engine, path: str, fd: int, progress: Callable[[Progress], None] | None) -> list[Image]:
    """Bring all images of an archive or directory; see ``Images.load``."""
    loaded = []
    with _opened(path), detect(path, fd) as source:
        for one in source.images():
            names = _full_names(one.names)
            what = names[0] if names else path
            with source.select(one.choice) as chosen:
                identifier = pulling.pull(engine, chosen, what, names=names, progress=progress)
            loaded.append(Image(engine, identifier, names[0] if names else ""))
    return loaded


def _opened(what: str) -> Boundary:
    return Boundary(f"read {what}")


def _names_in(source: object) -> Iterable[str]:
    """Return the names of the image that was chosen, if the archive says any."""
    found = source.images()  # type: ignore[attr-defined]
    return found[0].names if len(found) == 1 else ()


def _full_names(names: Iterable[str]) -> list[str]:
    """Return names of an archive made whole; what is no name is left out: it is the archive's word only."""
    found = []
    for name in names:
        with suppress(InvalidSpec):
            reference = parse(f"localhost/{name}" if is_short(name) else name)
            if not reference.digest:
                found.append(str(reference.tagged()))
    return found


def _name_of_path(path: str) -> str:
    """Return what podman calls an image that comes out of a directory: localhost/PATH."""
    cleaned = path.strip("./").lower()
    with suppress(InvalidSpec):
        return str(parse(f"localhost/{cleaned}").tagged())
    return "localhost/image:latest"
