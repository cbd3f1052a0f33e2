"""Commit a container to an image: its changes as a new layer on top of its image, or its whole root as one layer."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager

from pypod.engine.core import announce, observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import SHARED, Lock
from pypod.engine.images.making import add_layer, publish
from pypod.engine.images.stored import StoredImage
from pypod.engine.lifecycle import files, pausing
from pypod.engine.session import inside
from pypod.engine.storage import layers, mapped_layers
from pypod.errors import InvalidImage, InvalidSpec
from pypod.images.blobs import Blobs
from pypod.images.layers import pack
from pypod.model.images.change import apply, override
from pypod.model.images.config import parse_config
from pypod.model.images.form import FAMILIES
from pypod.model.images.image import OCI_LAYER, Descriptor
from pypod.model.mount import plain_path
from pypod.model.port import parse_exposed
from pypod.model.words import quoted
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from pypod.engine.core.context import Context
    from pypod.engine.session.id_maps import Maps
    from pypod.model.container import ContainerSpec
    from pypod.model.reports.progress import Progress
    from pypod.store.records import ContainerRecord

FORMATS = {"oci": "oci", "docker": "v2s2"}


def commit(
    context: Context,
    identifier: str,
    name: str = "",
    *,
    author: str = "",
    message: str = "",
    changes: Sequence[str] = (),
    config: Mapping[str, Any] | None = None,
    include_volumes: bool = False,
    pause: bool = False,
    squash: bool = False,
    format: str = "oci",
    progress: Callable[[Progress], None] | None = None,
) -> str:
    """Create an image from a container and return its id; see ``Container.commit``."""
    if format not in FORMATS:
        raise InvalidSpec("--format", f"unrecognized image format {quoted(format)}", hint="use oci or docker")
    if inside.is_needed(context):  # progress is not reported from there
        return inside.call(
            context,
            commit,
            identifier,
            name,
            author=author,
            message=message,
            changes=changes,
            config=config,
            include_volumes=include_volumes,
            pause=pause,
            squash=squash,
            format=format,
        )
    record = records.find_container(context.database, identifier)
    spec = context.container_spec(record)
    if message and format != "docker":
        raise InvalidSpec("--message", "messages are only compatible with the docker image format (-f docker)")
    if not record.image_id:
        raise InvalidSpec("CONTAINER", f"container {record.name} has no image: its root file system is not a layer")
    base = StoredImage(context, record.image_id, record.image)
    made = json.loads(base.config.body)
    own = made.setdefault("config", {}) or {}
    # a container without a command was given an entrypoint, which overrides the image's command, too
    inherited = {key: value for key, value in own.items() if key not in ("Cmd", "Entrypoint")}
    made["config"] = {**inherited, **_asked(context, record)}
    if include_volumes and spec.mounts:
        places: dict[str, dict[str, str]] = {plain_path(mount.target): {} for mount in spec.mounts}
        made["config"]["Volumes"] = {**(own.get("Volumes") or {}), **places}
    if config:
        override(made["config"], config)
        _require_readable(made)
    apply(made["config"], changes)
    started, maps = mapped_layers.as_started(context, spec)
    with Boundary(f"commit container {record.name}"), Lock(context.layout.images, SHARED) as lock, lock:
        blobs = Blobs(context.layout.blobs)
        with _held(context, record, pause):
            digest, size = _written(context, record, started, maps, blobs, squash=squash)
        created = {"created_by": " ".join((*spec.entrypoint, *spec.command)), "comment": message}
        descriptors = [] if squash else list(base.manifest().layers)
        if squash:
            made.update(rootfs={"type": "layers", "diff_ids": []}, history=[])
        add_layer(made, digest, author=author, created=created)
        if message and format == "docker":
            made["comment"] = message
        descriptors.append(Descriptor(media_type=OCI_LAYER, digest=digest, size=size))
        image = publish(context, blobs, made, descriptors, FAMILIES[FORMATS[format]], name, progress)
    announce.container(context, announce.COMMIT, record)
    return image.id


def _require_readable(made: Mapping[str, Any]) -> None:
    try:
        parse_config(json.dumps(made).encode())
    except InvalidImage as error:
        raise InvalidSpec("--config", error.message) from error


def _written(
    context: Context, record: ContainerRecord, spec: ContainerSpec, maps: Maps | None, blobs: Blobs, *, squash: bool
) -> tuple[str, int]:
    """Write what the container changed as a blob, or with ``squash`` its whole root; return digest and size."""
    lowers = layers.roots(context.layout, spec)
    copy = layers.copy_in(context.layout.container(record.id))
    if squash:
        return blobs.write(pack.merged(layers.tree(context.layout, record.id, spec), maps))
    if os.path.isdir(copy):
        points = context.layout.mount_points_without(files.of_root(context, record))
        return blobs.write(pack.difference(copy, [*lowers, points], maps))
    return blobs.write(pack.layer(_upper(context, record, lowers[0]), lowers, maps))


def _upper(context: Context, record: ContainerRecord, root: str) -> str:
    """Return the writable layer of a container; create an empty one if it was never started."""
    directory = context.layout.container(record.id)
    upper = f"{directory}/upper"
    if not os.path.isdir(upper):
        with Lock(directory) as lock, lock:
            if not os.path.isdir(upper):
                layers.upper(context, upper, os.stat(root)).perform()
    return upper


def _asked(context: Context, record: ContainerRecord) -> dict[str, Any]:
    """Return the container's options in the form of an image configuration: podman commits them, too."""
    spec = context.container_spec(record)
    found: dict[str, Any] = {"Env": [f"{name}={value}" for name, value in spec.environment]}
    for key, value in (("Cmd", spec.command), ("Entrypoint", spec.entrypoint)):
        found[key] = list(value) or None
    found |= {"WorkingDir": spec.working_directory, "User": spec.user}
    if spec.labels:
        found["Labels"] = dict(spec.labels)
    ports = (*spec.ports, *map(parse_exposed, spec.exposed_ports))
    numbers = sorted((port.container_port + more, port.protocol) for port in ports for more in range(port.count))
    found["ExposedPorts"] = {f"{number}/{protocol}": {} for number, protocol in numbers}
    return {key: value for key, value in found.items() if value}


@contextmanager
def _held(context: Context, record: ContainerRecord, pause: bool) -> Iterator[None]:
    """Pause a running container for the block if ``pause``; one that is paused already stays paused."""
    state = observe.state_of(context, record.id)
    if not pause or state.status != pausing.RUNNING:
        yield
        return
    pausing.freeze(context, record)
    try:
        yield
    finally:
        pausing.thaw(context, record)
