"""Create images from configuration and layers of our own, imported the way pulled ones are."""

from __future__ import annotations

import json

from pypod.engine.core import announce
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import SHARED, Lock
from pypod.engine.images import pulling
from pypod.engine.images.stored import StoredImage
from pypod.images.blobs import Blobs, BlobSource
from pypod.images.layers.compression import decompressed
from pypod.model.images.change import apply
from pypod.model.images.config import parse_config
from pypod.model.images.form import OCI
from pypod.model.images.image import OCI_LAYER, Descriptor
from pypod.model.images.platform import host
from pypod.model.images.reference import full_name
from pypod.model.moment import now_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from pypod.engine.core.context import Context
    from pypod.model.images.form import Family
    from pypod.model.images.image import Platform
    from pypod.model.reports.progress import Progress


def import_tree(
    context: Context,
    pieces: Iterable[bytes],
    name: str = "",
    *,
    message: str = "",
    changes: Sequence[str] = (),
    platform: Platform | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> StoredImage:
    """Create an image from a tar of a whole tree, compressed or not; see ``Images.import_tree``."""
    made_for = platform or host()
    config: dict[str, Any] = {"config": {}, "rootfs": {"type": "layers", "diff_ids": []}, **made_for.json()}
    apply(config["config"], changes)
    with Boundary("import"), Lock(context.layout.images, SHARED) as lock, lock:
        blobs = Blobs(context.layout.blobs)
        digest, size = blobs.write(decompressed(pieces, "the tar"))
        made_by = f"/bin/sh -c #(nop) ADD file:{digest.partition(':')[2]} in /"  # podman's words
        created = {"created_by": made_by, "comment": message or "imported from tarball"}
        add_layer(config, digest, author="", created=created)
        layer = Descriptor(media_type=OCI_LAYER, digest=digest, size=size)
        image = publish(context, blobs, config, [layer], OCI, name, progress)
    announce.image(context, announce.TAG, image.id, *image.names)
    return image


def add_layer(config: dict[str, Any], digest: str, *, author: str, created: dict[str, str]) -> None:
    """Append a layer, and the history entry of the step that made it, to the configuration of an image."""
    now = now_text()
    config["created"] = now
    if author:
        config["author"] = author
    config["rootfs"]["diff_ids"] = [*config["rootfs"]["diff_ids"], digest]
    step = {"created": now, **created, "author": author}
    config["history"] = [*(config.get("history") or []), {key: value for key, value in step.items() if value}]


def publish(
    context: Context,
    blobs: Blobs,
    config: dict[str, Any],
    descriptors: Sequence[Descriptor],
    family: Family,
    name: str,
    progress: Callable[[Progress], None] | None,
) -> StoredImage:
    """Write configuration and manifest, and import the image by pulling it, so that the same checks apply."""
    body = json.dumps(config, separators=(",", ":"), ensure_ascii=False).encode()
    parse_config(body)
    types = dict(family.layers)
    manifest = {
        "schemaVersion": 2,
        "mediaType": family.manifest,
        "config": {"mediaType": family.config, "digest": blobs.put(body), "size": len(body)},
        "layers": [one.replace(media_type=types.get(one.compression, one.media_type)).json() for one in descriptors],
    }
    manifest_body = json.dumps(manifest, separators=(",", ":"), ensure_ascii=False).encode()
    names = [full_name(name)] if name else []
    source = BlobSource(blobs, blobs.put(manifest_body), family.manifest)
    identifier = pulling.pull(context, source, name or "the new image", names=names, progress=progress)
    return StoredImage(context, identifier, names[0] if names else "")
