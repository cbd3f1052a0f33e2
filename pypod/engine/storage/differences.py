"""What a container wrote, or an image's layer brought, compared with what is below it."""

from __future__ import annotations

import os
import stat

from pypod.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.api.container import Container
    from pypod.api.engine import Engine
    from pypod.api.image import Image
    from pypod.engine.core.layout import Layout
    from pypod.store.images import LayerRecord

__all__ = ["of_container", "of_image"]

# What every container has mounted on or is given, and podman leaves out (podman: libpod/diff.go, initInodes).
_GIVEN = frozenset(
    (
        *("/dev", "/etc/hostname", "/etc/hosts", "/etc/mtab", "/etc/resolv.conf", "/proc", "/run"),
        *("/run/.containerenv", "/run/notify", "/run/secrets", "/sys"),
    )
)


def of_container(container: Container, base: Container | Image | None = None) -> list[tuple[str, str]]:
    """Return what a container has written, or how its root differs from another's. See ``Image.changes``.

    Raises Unsupported when it writes into its root directory itself.
    """
    stack = _stack(container)
    if base is not None:
        return _compared(stack, _stack(base))
    if stack == [_copy(container)]:
        return _compared(stack, _below_copy(container))
    return _written(stack) if stack[0] == _own(container) else []


def of_image(image: Image, base: Container | Image | None = None) -> list[tuple[str, str]]:
    """Return what is different from a base, or from what is below the topmost layer. See ``Image.changes``."""
    if base is not None:
        return _compared(_stack(image), _stack(base))
    layout = image.engine.layout
    layers = image.layers()
    return _written([*_shown(layout, layers[:1]), *_shown(layout, layers[1:])]) if layers else []


def _written(stack: list[str]) -> list[tuple[str, str]]:
    from pypod.images.layers.pack import changes

    upper, *lowers = stack
    return _without_given(changes(upper, lowers))


def _compared(new: list[str], old: list[str]) -> list[tuple[str, str]]:
    from pypod.images.layers.compare import compare

    return _without_given(compare(new, old))


def _without_given(found: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(kind, path) for kind, path in found if path not in _GIVEN]


def _stack(one: Container | Image) -> list[str]:
    """Return the directories that a root is made of, the topmost first."""
    from pypod.api.image import Image

    layout = one.engine.layout
    if isinstance(one, Image):
        return _shown(layout, one.layers())
    from pypod.engine.storage.layers import tree
    from pypod.engine.storage.mapped_layers import as_started

    record = one.record()
    spec = one.engine.container_spec(record)
    if not spec.overlay:
        raise Unsupported("diff", f"container {record.name} has no layer of its own: it writes into its root directory")
    return tree(layout, one.id, as_started(one.engine, spec)[0])


def _own(container: Container) -> str:
    return f"{container.engine.layout.container(container.id)}/upper"


def _copy(container: Container) -> str:
    from pypod.engine.storage.layers import copy_in

    return copy_in(container.engine.layout.container(container.id))


def _below_copy(container: Container) -> list[str]:
    """Return what a container's copy of all files was made of."""
    from pypod.engine.storage.layers import roots
    from pypod.engine.storage.mapped_layers import as_started

    layout, spec = container.engine.layout, as_started(container.engine, container.spec())[0]
    return [*roots(layout, spec), layout.mount_points]


def copied_bytes(engine: Engine, identifier: str) -> int:
    """Return the size of what a container has written into its copy of all files."""
    from pypod.images.layers.compare import compare

    container = engine.containers.get(identifier)
    copy, total = _copy(container), 0
    seen: set[int] = set()
    for kind, path in compare([copy], _below_copy(container)):
        try:
            status = os.lstat(copy + path)
        except FileNotFoundError:
            continue
        if kind != "D" and not stat.S_ISDIR(status.st_mode) and status.st_ino not in seen:
            seen.add(status.st_ino)
            total += status.st_size
    return total


def _shown(layout: Layout, layers: Iterable[LayerRecord]) -> list[str]:
    """Return the directories of layers, as far down as anything shows."""
    found = []
    for layer in layers:
        found.append(f"{layout.image_layers}/{layer.directory}")
        if layer.opaque:
            break
    return found
