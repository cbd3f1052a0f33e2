"""New images: what a container wrote as one more layer (commit), or a tree in a tar as the only one (import)."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager

from pypod.api.image import Image
from pypod.engine.containers import pausing
from pypod.engine.core import announce, observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import SHARED, Lock
from pypod.engine.images import pulling
from pypod.engine.inspect.images import manifest_of
from pypod.engine.storage import layers, mapped_layers
from pypod.errors import InvalidSpec
from pypod.images.blobs import Blobs, BlobSource
from pypod.images.layers import pack
from pypod.images.layers.compression import decompressed
from pypod.images.platform import host
from pypod.model.image import OCI_LAYER, Descriptor
from pypod.model.image_change import apply
from pypod.model.image_config import parse_config
from pypod.model.image_form import FAMILIES, OCI
from pypod.model.moment import now_text
from pypod.model.mount import plain_path
from pypod.model.reference import full_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from pypod.api.engine import Engine
    from pypod.model.image import Platform
    from pypod.model.image_form import Family
    from pypod.model.progress import Progress
    from pypod.store.records import ContainerRecord

FORMATS = {"oci": "oci", "docker": "v2s2"}


def commit(
    engine: Engine,
    record: ContainerRecord,
    name: str = "",
    *,
    author: str = "",
    message: str = "",
    changes: Sequence[str] = (),
    include_volumes: bool = False,
    pause: bool = False,
    squash: bool = False,
    format: str = "oci",
    progress: Callable[[Progress], None] | None = None,
) -> Image:
    """Make an image of a container; see ``Container.commit``."""
    if format not in FORMATS:
        raise InvalidSpec("--format", f"unrecognized image format {format!r}", hint="use oci or docker")
    spec = engine.container_spec(record)
    if not record.image_id:
        raise InvalidSpec("CONTAINER", f"container {record.name} has no image: a root file system is no layer of one")
    base = Image(engine, record.image_id, record.image)
    config = json.loads(base.config.body)
    own = config.setdefault("config", {}) or {}
    config["config"] = {**own, **_asked(engine, record)}
    if include_volumes and spec.mounts:
        places: dict[str, dict[str, str]] = {plain_path(mount.target): {} for mount in spec.mounts}
        config["config"]["Volumes"] = {**(own.get("Volumes") or {}), **places}
    apply(config["config"], changes)
    started, maps = mapped_layers.as_started(engine, spec)
    lowers = layers.roots(engine.layout, started)
    with Boundary(f"commit container {record.name}"), Lock(engine.layout.images, SHARED) as lock, lock:
        blobs = Blobs(engine.layout.blobs)
        copy = layers.copy_in(engine.layout.container(record.id))
        with _held(engine, record, pause):
            if squash:
                digest, size = blobs.write(pack.merged(layers.tree(engine.layout, record.id, started), maps))
            elif os.path.isdir(copy):
                digest, size = blobs.write(pack.difference(copy, [*lowers, engine.layout.mount_points], maps))
            else:
                digest, size = blobs.write(pack.layer(_upper(engine, record, lowers[0]), lowers, maps))
        created = {"created_by": " ".join((*spec.entrypoint, *spec.command)), "comment": message}
        descriptors = [] if squash else list(manifest_of(base).layers)
        if squash:
            config.update(rootfs={"type": "layers", "diff_ids": []}, history=[])
        _add_layer(config, digest, author=author, created=created)
        if message and format == "docker":
            config["comment"] = message
        descriptors.append(Descriptor(media_type=OCI_LAYER, digest=digest, size=size))
        image = _publish(engine, blobs, config, descriptors, FAMILIES[FORMATS[format]], name, progress)
    announce.container(engine, announce.COMMIT, record)
    return image


def _upper(engine: Engine, record: ContainerRecord, root: str) -> str:
    """Return the directory of what a container wrote; one that was never started gets it now, with nothing in it."""
    directory = engine.layout.container(record.id)
    upper = f"{directory}/upper"
    if not os.path.isdir(upper):
        with Lock(directory) as lock, lock:
            if not os.path.isdir(upper):
                layers.upper(engine, upper, os.stat(root)).perform()
    return upper


def _asked(engine: Engine, record: ContainerRecord) -> dict[str, Any]:
    """Return what the container was asked to be, as an image says it: podman commits that, too."""
    spec = engine.container_spec(record)
    found: dict[str, Any] = {"Env": [f"{name}={value}" for name, value in spec.environment]}
    for key, value in (("Cmd", spec.command), ("Entrypoint", spec.entrypoint)):
        found[key] = list(value) or None
    found |= {"WorkingDir": spec.working_directory, "User": spec.user}
    if spec.labels:
        found["Labels"] = dict(spec.labels)
    return {key: value for key, value in found.items() if value}


@contextmanager
def _held(engine: Engine, record: ContainerRecord, pause: bool) -> Iterator[None]:
    """Keep the processes of a container from running, if that was asked for and they run; a paused one stays so."""
    state = observe.container_state(engine.layout.container(record.id), engine.boot_id)
    if not pause or state.status != pausing.RUNNING:
        yield
        return
    pausing.freeze(engine, record)
    try:
        yield
    finally:
        pausing.thaw(engine, record)


def import_tree(
    engine: Engine,
    pieces: Iterable[bytes],
    name: str = "",
    *,
    message: str = "",
    changes: Sequence[str] = (),
    platform: Platform | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Image:
    """Make an image of a tar of a whole tree, compressed or not; see ``Images.import_tree``."""
    made_for = platform or host()
    config: dict[str, Any] = {"config": {}, "rootfs": {"type": "layers", "diff_ids": []}, **made_for.json()}
    apply(config["config"], changes)
    with Boundary("import"), Lock(engine.layout.images, SHARED) as lock, lock:
        blobs = Blobs(engine.layout.blobs)
        digest, size = blobs.write(decompressed(pieces, "the tar"))
        made_by = f"/bin/sh -c #(nop) ADD file:{digest.partition(':')[2]} in /"  # podman's words
        created = {"created_by": made_by, "comment": message or "imported from tarball"}
        _add_layer(config, digest, author="", created=created)
        layer = Descriptor(media_type=OCI_LAYER, digest=digest, size=size)
        image = _publish(engine, blobs, config, [layer], OCI, name, progress)
    announce.image(engine, announce.TAG, image.id, *image.names)
    return image


def _add_layer(config: dict[str, Any], digest: str, *, author: str, created: dict[str, str]) -> None:
    now = now_text()
    config["created"] = now
    if author:
        config["author"] = author
    config["rootfs"]["diff_ids"] = [*config["rootfs"]["diff_ids"], digest]
    step = {"created": now, **created, "author": author}
    config["history"] = [*(config.get("history") or []), {key: value for key, value in step.items() if value}]


def _publish(
    engine: Engine,
    blobs: Blobs,
    config: dict[str, Any],
    descriptors: Sequence[Descriptor],
    family: Family,
    name: str,
    progress: Callable[[Progress], None] | None,
) -> Image:
    """Write configuration and manifest, and take the image in as any other: the same checks hold."""
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
    identifier = pulling.pull(engine, source, name or "the new image", names=names, progress=progress)
    return Image(engine, identifier, names[0] if names else "")
