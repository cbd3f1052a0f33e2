"""How stacked directories become a root: by the kernel's overlay, or by a mount program."""

from __future__ import annotations

import os

from pypod.engine.storage import layers
from pypod.errors import Unsupported
from pypod.runtime.compiler.surroundings import Root
from pypod.runtime.ops import Op

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.engine.core.context import Context
    from pypod.engine.storage.drivers import Driver

_SERVED = "/dev/fd/4"  # the mount program's /dev/fuse (pause/supervise/watcher.c; libfuse 3.3 accepts this form)
PROGRAM_DIRECTORY = "mount-program"
_COMMA = "\\,"


def mounted(context: Context, options: str, base: str = "") -> Root:
    """Return how the kernel's overlay makes the root; relative paths in its options start at ``base``."""
    begin = (Op("base", base),) if base else ()
    return Root(mounting=(*begin, Op("root", "overlay", "overlay", context.layout.merged, 0, options)))


def of_layers(context: Context, driver: Driver, lowers: Sequence[str], place: str) -> Root:
    """Return how a root is made of any directories, with ``upper`` and ``work`` in ``place``."""
    if driver.program:
        return served(context, driver.program, lowers, place, f"{place}/")
    return mounted(context, overlay_options(context, lowers, f"{place}/"))


def served(context: Context, program: str, lowers: Sequence[str], directory: str, own: str) -> Root:
    """Return how a mount program serves the root; only the length of a command line limits the number of its layers."""
    odd = next((path for path in (*lowers, own) if ":" in path), "")
    if odd:
        hint = "rename it, or use a path without a colon"
        raise Unsupported(program, f"{os.path.basename(program)} accepts no path with a colon: {odd}", hint=hint)
    words = f"lowerdir={':'.join(layers.escaped(one, _COMMA) for one in lowers)}"
    if own:
        path = layers.escaped(own, _COMMA)
        words += f",upperdir={path}upper,workdir={path}work"
    place = f"{directory}/{PROGRAM_DIRECTORY}"
    return Root(
        settings=(Op("mount_program", place, context.boot_id, "", program, "-o", words, _SERVED),),
        mounting=(Op("root_fuse", context.layout.merged),),
        serving=(Op("serve_root"),),
    )


def overlay_options(context: Context, lowers: Sequence[str], own: str) -> str:
    """Return the overlay options for ``lowers``, with ``own`` as the prefix of upper and work directories."""
    options = f"lowerdir={':'.join(layers.escaped(one) for one in lowers)}"
    if own:
        path = layers.escaped(own, _COMMA)
        options += f",upperdir={path}upper,workdir={path}work,volatile"
    # in a user namespace overlayfs stores its attributes as user.* (Linux 5.11)
    return options + (",userxattr" if context.rootless else "")
