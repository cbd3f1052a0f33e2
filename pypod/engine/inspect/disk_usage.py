"""Measure what images, containers and volumes take of the disk."""

from __future__ import annotations

from pypod.engine.containers.differences import tree_bytes, writable_bytes
from pypod.engine.containers.listing import listed_containers
from pypod.engine.core.boundary import Boundary
from pypod.engine.session import inside
from pypod.engine.storage.volume_files import place
from pypod.model.reports.disk_usage import ContainerUsage, DiskUsage, ImageUsage, VolumeUsage
from pypod.store import image_layers, images, volumes
from pypod.store.records import CONTAINER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.engine.core.context import Context
    from pypod.store.records import ContainerRecord


def disk_usage(context: Context, *, with_volumes: bool = True) -> DiskUsage:
    """Return the usage of a storage; without ``with_volumes`` their files are not counted."""
    with Boundary("measure the disk usage"):
        found, total, unused = _images(context)
        return DiskUsage(
            images=found,
            containers=_containers(context),
            volumes=_volumes(context, counted=with_volumes),
            image_bytes=total,
            unused_image_bytes=unused,
        )


def image_bytes(context: Context) -> int:
    """Return the size of the layers of all images, each counted once."""
    return _images(context)[1]


def _images(context: Context) -> tuple[tuple[ImageUsage, ...], int, int]:
    """Return the images, the size of all their layers, and of those that only images without containers have."""
    layers = {one.chain: one for one in image_layers.all_layers(context.database)}
    counts = images.container_counts(context.database)
    named = images.all_images(context.database)
    chains = {one.record.id: _chains(one.record.chain, layers) for one in named}
    users: dict[str, int] = {}
    for found in chains.values():
        for chain in found:
            users[chain] = users.get(chain, 0) + 1
    needed = {chain for identifier, found in chains.items() if counts.get(identifier) for chain in found}
    usages = []
    for one in named:
        own = chains[one.record.id]
        usages.append(
            ImageUsage(
                id=one.record.id,
                names=one.names,
                created_ns=one.record.created_ns,
                size_bytes=one.record.size_bytes
                if one.record.is_list
                else sum(layers[chain].size_bytes for chain in own),
                shared_bytes=sum(layers[chain].size_bytes for chain in own if users[chain] > 1),
                containers=counts.get(one.record.id, 0),
            )
        )
    total = sum(layers[chain].size_bytes for chain in users)
    return tuple(usages), total, total - sum(layers[chain].size_bytes for chain in needed)


def _chains(chain: str, layers: dict[str, image_layers.LayerRecord]) -> set[str]:
    """Return a layer and all below it."""
    found: set[str] = set()
    while chain in layers and chain not in found:  # a damaged row may name itself as its parent
        found.add(chain)
        chain = layers[chain].parent
    return found


def _containers(context: Context) -> tuple[ContainerUsage, ...]:
    listed = listed_containers(context)
    sizes = container_sizes(context, [record.id for record, _ in listed])
    mounted = volumes.counts(context.database)
    return tuple(
        ContainerUsage(
            id=record.id,
            name=record.name,
            image_id=record.image_id,
            command=_command(context, record),
            volumes=mounted.get(record.id, 0),
            size_bytes=sizes.get(record.id, 0),
            created_ns=record.created_ns,
            status=state.status,
        )
        for record, state in listed
    )


def _command(context: Context, record: ContainerRecord) -> str:
    return " ".join(context.container_spec(record).command) if record.kind == CONTAINER else ""


def container_sizes(context: Context, identifiers: Sequence[str]) -> dict[str, int]:
    """Return the bytes that each container has written."""
    if inside.is_needed(context):
        return inside.call(context, container_sizes, identifiers)
    return {one: writable_bytes(context, context.layout.container(one)) for one in identifiers}


def _volumes(context: Context, *, counted: bool) -> tuple[VolumeUsage, ...]:
    found = volumes.all_volumes(context.database)
    places = [place(context.layout, one) for one in found]
    sizes = tree_sizes(context, places) if counted else [0] * len(found)
    links = volumes.links(context.database)
    return tuple(
        VolumeUsage(name=one.name, links=links.get(one.name, 0), size_bytes=size)
        for one, size in zip(found, sizes, strict=True)
    )


def tree_sizes(context: Context, paths: Sequence[str]) -> list[int]:
    """Return the bytes of the files in each directory."""
    if inside.is_needed(context):
        return inside.call(context, tree_sizes, paths)
    return [tree_bytes(path) for path in paths]
