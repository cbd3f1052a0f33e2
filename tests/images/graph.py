"""All manifests of an image, with limits: an index may refer to indexes, and its author is not trusted."""

from __future__ import annotations

from pypod.errors import InvalidImage
from pypod.model.images.image import Index, parse_manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypod.images.ends import Source
    from pypod.model.images.image import Manifest

DEPTH_LIMIT = 4  # builders write an index of images, and in a layout one more around it
MANIFESTS_LIMIT = 1000


def walk(source: Source) -> Iterator[Manifest | Index]:
    """Yield every manifest and index of the image once, after everything it refers to; the last one is the image.

    A copy that writes them in this order never refers to a missing one. Raises InvalidImage: nested too deep, too
    many, or not what the index says.
    """
    media_type, body = source.manifest()
    yield from _below(source, parse_manifest(body, media_type), set(), 1)


def _below(source: Source, found: Manifest | Index, seen: set[str], depth: int) -> Iterator[Manifest | Index]:
    if isinstance(found, Index):
        if depth > DEPTH_LIMIT:
            raise InvalidImage(f"index {found.digest}", f"indexes are nested more than {DEPTH_LIMIT} deep")
        for entry in found.manifests:
            if entry.digest in seen:
                continue
            seen.add(entry.digest)
            if len(seen) > MANIFESTS_LIMIT:
                raise InvalidImage(f"index {found.digest}", f"the image has more than {MANIFESTS_LIMIT} manifests")
            media_type, body = source.manifest(entry.digest)
            named = parse_manifest(body, media_type or entry.media_type, f"manifest {entry.digest}")
            if named.digest != entry.digest and entry.digest.startswith("sha256:"):
                raise InvalidImage(f"manifest {entry.digest}", "its content is something else")
            yield from _below(source, named, seen, depth + 1)
    yield found
