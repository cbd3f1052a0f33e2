"""A container's whole root file system as a tar."""

from __future__ import annotations

from pypod.engine.core.boundary import Boundary
from pypod.engine.session import inside
from pypod.engine.storage.layers import tree
from pypod.engine.storage.mapped_layers import as_started
from pypod.images.layers.pack import merged
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypod.engine.core.context import Context


def export(context: Context, identifier: str) -> Iterator[bytes]:
    """Yield a tar of a container's root in pieces; mounts are left out."""
    if inside.is_needed(context):
        yield from inside.stream(context, export, identifier)
        return
    record = records.find_container(context.database, identifier)
    spec, maps = as_started(context, context.container_spec(record))
    with Boundary(f"export container {record.name}"):
        yield from merged(tree(context.layout, identifier, spec), maps)
