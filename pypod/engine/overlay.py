"""The overlay of a container's root: options for mount(2), from its layers."""

from __future__ import annotations

import os

from pypod.engine import layers
from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.engine import Engine
    from pypod.engine.layout import Layout
    from pypod.model.container import ContainerSpec

# A page, of which mount(2) takes one byte less (copy_mount_options in fs/namespace.c), and "lowerdir=".
_OPTIONS_BYTES_LIMIT = 4096 - 1 - 9


def root_status(layout: Layout, spec: ContainerSpec) -> os.stat_result:
    root = layers.roots(layout, spec)[0]
    try:
        return os.stat(root)
    except OSError as error:
        if spec.image:
            hint = f"pypod pull {spec.image} brings it again"
            raise InvalidSpec("image", f"a layer of image {spec.image} is gone: {error}", hint=hint) from error
        raise InvalidSpec("--rootfs", f"rootfs {spec.rootfs}: {error.strerror}") from error


def container_overlay(engine: Engine, spec: ContainerSpec, directory: str) -> tuple[str, str]:
    """Return the options of a container's overlay, and where the relative paths in them begin."""
    own = layers.escaped(directory, "\\,")
    # in a user namespace overlayfs keeps its attributes among the user's (Linux 5.11)
    words = ",volatile,userxattr" if engine.rootless else ",volatile"
    return overlay_of(engine.layout, spec, f",upperdir={own}/upper,workdir={own}/work{words}")


def overlay_of(layout: Layout, spec: ContainerSpec, above: str = "") -> tuple[str, str]:
    """Return the options of an overlay of a root's layers with what is ``above``, and where its paths begin."""
    # No layer may lie in another (ELOOP, ovl_check_layer in fs/overlayfs/super.c), as ours would in the host's root.
    lowers = layers.roots(layout, spec)
    if spec.image or not layout.is_inside(root_status(layout, spec)):
        lowers = list(dict.fromkeys((*lowers, layout.mount_points)))
    below = ":".join(layers.escaped(layer, "\\,:") for layer in lowers)
    if len(below) + len(above) < _OPTIONS_BYTES_LIMIT or not spec.image:
        return f"lowerdir={below}{above}", ""
    below = ":".join((*spec.layers, layers.escaped(layout.mount_points, "\\,:")))
    return f"lowerdir={below}{above}", layout.image_layers
