"""How directories that lie on each other become a root: by the kernel's overlay, or by a mount program."""

from __future__ import annotations

import os

from pypod.engine.storage import layers
from pypod.errors import Unsupported
from pypod.runtime.compiler import Root
from pypod.runtime.ops import Op

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.engine.core.context import Context
    from pypod.engine.storage.drivers import Driver

_SERVED = "/dev/fd/4"  # where a mount program finds its /dev/fuse (pause/supervise/watcher.c; libfuse 3.3 takes it so)
PROGRAM_DIRECTORY = "mount-program"
_COMMA = "\\,"


def mounted(context: Context, options: str, base: str = "") -> Root:
    """Return how the kernel's overlay becomes the root; relative paths in its options begin at ``base``."""
    begin = (Op("base", base),) if base else ()
    return Root(mounting=(*begin, Op("root", "overlay", "overlay", context.layout.merged, 0, options)))


def of_layers(context: Context, driver: Driver, lowers: Sequence[str], place: str) -> Root:
    """Return how the root comes to be of any directories, ``place`` having ``upper`` and ``work``."""
    if driver.program:
        return served(context, driver.program, lowers, place, f"{place}/")
    return mounted(context, overlay_options(context, lowers, f"{place}/"))


def served(context: Context, program: str, lowers: Sequence[str], directory: str, own: str) -> Root:
    """Return how a mount program serves the root; its layers have no limit but that of a command line."""
    odd = next((path for path in (*lowers, own) if ":" in path), "")
    if odd:
        hint = "rename it, or use what has no colon in its path"
        raise Unsupported(program, f"{os.path.basename(program)} takes no path with a colon: {odd}", hint=hint)
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
    """Return what mount(2) is given for an overlay of ``lowers``, with ``own`` before upper and work directories."""
    options = f"lowerdir={':'.join(layers.escaped(one) for one in lowers)}"
    if own:
        path = layers.escaped(own, _COMMA)
        options += f",upperdir={path}upper,workdir={path}work,volatile"
    # in a user namespace overlayfs keeps its attributes among the user's (Linux 5.11)
    return options + (",userxattr" if context.rootless else "")
