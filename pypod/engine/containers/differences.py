"""Compare the writable layer of a container, or a layer of an image, with the layers below it."""

from __future__ import annotations

import os
import stat

from pypod.engine.images.stored import StoredImage
from pypod.engine.lifecycle import files
from pypod.engine.session import inside
from pypod.engine.storage.layers import copy_in, roots, tree
from pypod.engine.storage.mapped_layers import as_started
from pypod.errors import Unsupported
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.engine.core.context import Context
    from pypod.engine.core.layout import Layout
    from pypod.store.image_layers import LayerRecord

    Root = tuple[str, str]  # "container" or "image", and an id

# Mount points and files that every container gets; podman leaves them out (podman: libpod/diff.go, initInodes).
_GIVEN = frozenset(
    (
        *("/dev", "/etc/hostname", "/etc/hosts", "/etc/mtab", "/etc/resolv.conf", "/proc", "/run"),
        *("/run/.containerenv", "/run/notify", "/run/secrets", "/sys"),
    )
)


def changes(context: Context, one: Root, base: Root | None = None) -> list[tuple[str, str]]:
    """Return the changes in a container's writable layer or an image's topmost layer, or between ``base`` and ``one``.

    Each change is a pair of its kind (``A`` added, ``C`` changed, ``D`` deleted) and its path; they are in the order of
    their paths. Raises Unsupported for a container that writes into its root directory itself.
    """
    if inside.is_needed(context):
        return inside.call(context, changes, one, base)
    if base is not None:
        return _compared(_stack(context, one), _stack(context, base))
    kind, identifier = one
    if kind == "image":
        layers = StoredImage(context, identifier).layers()
        return _written([*_shown(context.layout, layers[:1]), *_shown(context.layout, layers[1:])]) if layers else []
    stack, directory = _stack(context, one), context.layout.container(identifier)
    if stack == [copy_in(directory)]:
        return _compared(stack, _below_copy(context, identifier))
    return _written(stack) if stack[0] == f"{directory}/upper" else []


def _written(stack: list[str]) -> list[tuple[str, str]]:
    from pypod.images.layers.changes import changes

    upper, *lowers = stack
    return _shown_changes(changes(upper, lowers))


def _compared(new: list[str], old: list[str]) -> list[tuple[str, str]]:
    from pypod.images.layers.compare import compare

    return _shown_changes(compare(new, old))


def _shown_changes(found: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the changes but those that pypod makes itself; where something changed, its parents count as changed."""
    kinds = {path: kind for kind, path in found if path not in _GIVEN}
    for path in tuple(kinds):
        parent = path.rpartition("/")[0]
        while parent and parent not in kinds:
            kinds[parent] = "C"
            parent = parent.rpartition("/")[0]
    return [(kinds[path], path) for path in sorted(kinds)]


def _stack(context: Context, one: Root) -> list[str]:
    """Return the directories that make up a root, topmost first."""
    kind, identifier = one
    if kind == "image":
        return _shown(context.layout, StoredImage(context, identifier).layers())
    record = records.find_container(context.database, identifier)
    spec = context.container_spec(record)
    if not spec.overlay:
        raise Unsupported("diff", f"container {record.name} has no layer of its own: it writes into its root directory")
    return tree(context.layout, identifier, as_started(context, spec)[0])


def _below_copy(context: Context, identifier: str) -> list[str]:
    """Return the directories that a container's full copy was made from."""
    record = records.find_container(context.database, identifier)
    points = context.layout.mount_points_without(files.of_root(context, record))
    return [*roots(context.layout, as_started(context, context.container_spec(record))[0]), points]


def writable_bytes(context: Context, directory: str) -> int:
    """Return the bytes that a container has written, given its directory: hard links count once, holes in full."""
    if inside.is_needed(context):
        return inside.call(context, writable_bytes, directory)
    if os.path.isdir(copy_in(directory)):
        return _copied_bytes(context, os.path.basename(directory))
    return tree_bytes(f"{directory}/upper")


def image_bytes(context: Context, identifier: str) -> int:
    """Return the bytes of the files in the layers of an image; 0 without an id, for a container without an image."""
    if not identifier:
        return 0
    if inside.is_needed(context):
        return inside.call(context, image_bytes, identifier)
    layers = StoredImage(context, identifier).layers()
    return sum(tree_bytes(f"{context.layout.image_layers}/{layer.directory}") for layer in layers)


def tree_bytes(directory: str) -> int:
    """Return the bytes of the files in a directory, 0 if there is none: hard links count once, holes in full."""
    total = 0
    seen: set[tuple[int, int]] = set()
    waiting = [directory]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                        continue
                    status = entry.stat(follow_symlinks=False)
                    key = (status.st_dev, status.st_ino)
                    if status.st_nlink > 1 and key in seen:
                        continue
                    seen.add(key)
                    total += status.st_size
        except (FileNotFoundError, ValueError):
            continue  # it was deleted meanwhile, there is no layer yet, or a damaged record has a NUL in its name
    return total


def _copied_bytes(context: Context, identifier: str) -> int:
    """Return the bytes that a container has written into its full copy of the layers."""
    from pypod.images.layers.compare import compare

    copy, total = copy_in(context.layout.container(identifier)), 0
    seen: set[int] = set()
    for kind, path in compare([copy], _below_copy(context, identifier)):
        try:
            status = os.lstat(copy + path)
        except FileNotFoundError:
            continue
        if kind != "D" and not stat.S_ISDIR(status.st_mode) and status.st_ino not in seen:
            seen.add(status.st_ino)
            total += status.st_size
    return total


def _shown(layout: Layout, layers: Iterable[LayerRecord]) -> list[str]:
    """Return the directories of layers, down to the first opaque one, which hides the rest."""
    found = []
    for layer in layers:
        found.append(f"{layout.image_layers}/{layer.directory}")
        if layer.opaque:
            break
    return found
