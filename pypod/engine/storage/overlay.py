"""The root of a container, from its layers: mounted by the kernel or by a mount program, or copied."""

from __future__ import annotations

import os

from pypod.engine.storage import drivers, layers
from pypod.errors import InvalidSpec, Unsupported
from pypod.kernel.proc import read_bytes
from pypod.runtime.compiler import Root, bound
from pypod.runtime.ops import Op

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.api.engine import Engine
    from pypod.engine.core.effects import Effect
    from pypod.engine.core.layout import Layout
    from pypod.engine.session.id_maps import Maps
    from pypod.engine.storage.drivers import Driver
    from pypod.model.container import ContainerSpec

_OPTIONS_BYTES_LIMIT = 4096 - 1  # a page, of which mount(2) takes one byte less (copy_mount_options in fs/namespace.c)
_SERVED = "/dev/fd/4"  # where a mount program finds its /dev/fuse (pause/supervise/watcher.c; libfuse 3.3 takes it so)
PROGRAM_DIRECTORY = "mount-program"
_COMMA = "\\,"


def root_status(layout: Layout, spec: ContainerSpec) -> os.stat_result:
    root = layers.roots(layout, spec)[0]
    try:
        return os.stat(root)
    except OSError as error:
        if spec.image:
            hint = f"pypod pull {spec.image} brings it again"
            raise InvalidSpec("image", f"a layer of image {spec.image} is gone: {error}", hint=hint) from error
        raise InvalidSpec("--rootfs", f"rootfs {spec.rootfs}: {error.strerror}") from error


def driver_of(engine: Engine, spec: ContainerSpec, directory: str, *, asking: bool = False) -> Driver | None:
    """Return what makes the root of a container: what works here, tried if ``asking``, or what has made it before.

    None for a root that is used as it is. The kernel does not know how a mount program notes what was removed. A copy
    of all can be made of what either wrote.
    """
    if not spec.overlay:
        return None
    copies = drivers.Driver(name=drivers.VFS)
    if os.path.isdir(layers.copy_in(directory)):
        return copies
    if os.path.isdir(f"{directory}/{PROGRAM_DIRECTORY}"):
        return drivers.program_of(engine, asking=asking) or copies
    driver = drivers.of(engine) if asking else drivers.expected(engine)
    if engine.rootless and spec.rootfs and driver.is_kernel and _has_mounts_in(spec.rootfs):
        return drivers.program_of(engine, asking=asking) or driver
    return driver


def _has_mounts_in(directory: str) -> bool:
    """Return whether a directory has mounts in it, which are locked to it in a user namespace.

    The kernel puts no overlay over what would come to light without them, and takes no tree with them for a layer:
    EINVAL of clone_private_mount in fs/namespace.c, with open_tree(2) as well. A program opens one file after another.
    """
    path = os.fsencode(os.path.realpath(directory).rstrip("/") + "/")
    content = read_bytes("/proc/self/mountinfo")
    if b" " + path not in content:  # each start asks
        return False
    points = [line.split(b" ", 5)[4] for line in content.splitlines()]
    return any(point.startswith(path) and point != b"/" for point in points)


def container_root(engine: Engine, driver: Driver | None, spec: ContainerSpec, directory: str) -> Root:
    """Return how the root of a container comes to be, with what it wrote on top."""
    return _of(engine, driver, spec, directory, f"{directory}/") if driver else Root()


def read_only_root(engine: Engine, spec: ContainerSpec, directory: str) -> Root:
    """Return the same for one that nobody will write to."""
    driver = driver_of(engine, spec, directory)
    return _of(engine, driver, spec, directory, "") if driver else Root()


def preparations(
    engine: Engine,
    driver: Driver | None,
    spec: ContainerSpec,
    directory: str,
    root: os.stat_result,
    maps: Maps | None = None,
    *,
    read_only: bool = False,
) -> list[Effect]:
    """Return what has to be there before the root of a container is made, which is owned as ``root`` is."""
    from pypod.engine.core import effects

    if driver is None:
        return []
    if driver.program and maps is not None and not engine.rootless:
        hint = f"leave ${drivers.OPTIONS_VARIABLE} away: the kernel's overlay can"
        raise Unsupported("--userns", "a mount program shows a user namespace of root's no other owners", hint=hint)
    if driver.copies:
        return _copying(engine, spec, directory, root, maps)
    made = []
    if not read_only:
        upper = f"{directory}/upper"
        if not os.path.isdir(upper):
            made.append(layers.upper(engine, upper, root, maps, of_image=bool(spec.image)))
        made += layers.work(f"{directory}/work")
    return [*made, effects.directory(f"{directory}/{PROGRAM_DIRECTORY}")] if driver.program else made


def _copying(
    engine: Engine, spec: ContainerSpec, directory: str, root: os.stat_result, maps: Maps | None
) -> list[Effect]:
    if os.path.isdir(layers.copy_in(directory)):
        return []
    if not spec.image and engine.layout.is_inside(root):
        hint = "give a directory without it, such as /usr:O, or another storage (--root)"
        raise Unsupported("--rootfs", f"a copy of {spec.rootfs} would hold the storage itself", hint=hint)
    # one that was started before by another driver goes on with what it wrote
    upper = [one for one in (f"{directory}/upper",) if os.path.isdir(one)]
    stack = [*upper, *_lowers(engine.layout, spec)]
    return [layers.copying(engine, stack, directory, root, maps, of_image=bool(spec.image))]


def _of(engine: Engine, driver: Driver, spec: ContainerSpec, directory: str, own: str) -> Root:
    target = engine.layout.merged
    if driver.copies:
        return Root(mounting=bound(layers.copy_in(directory), target))
    lowers = _lowers(engine.layout, spec)
    if driver.program:
        return served(engine, driver.program, lowers, directory, own)
    options, base = _options(engine, lowers, own), ""
    if len(options) >= _OPTIONS_BYTES_LIMIT and spec.image:
        base = engine.layout.image_layers
        names = [*spec.layers, engine.layout.mount_points]
        options = _options(engine, names, own)
    return mounted(engine, options, base)


def mounted(engine: Engine, options: str, base: str = "") -> Root:
    """Return how the kernel's overlay becomes the root; relative paths in its options begin at ``base``."""
    begin = (Op("base", base),) if base else ()
    return Root(mounting=(*begin, Op("root", "overlay", "overlay", engine.layout.merged, 0, options)))


def of_layers(engine: Engine, driver: Driver, lowers: Sequence[str], place: str) -> Root:
    """Return how the root comes to be of any directories, ``place`` having ``upper`` and ``work``."""
    if driver.program:
        return served(engine, driver.program, lowers, place, f"{place}/")
    return mounted(engine, _options(engine, lowers, f"{place}/"))


def served(engine: Engine, program: str, lowers: Sequence[str], directory: str, own: str) -> Root:
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
        settings=(Op("mount_program", place, engine.boot_id, "", program, "-o", words, _SERVED),),
        mounting=(Op("root_fuse", engine.layout.merged),),
        serving=(Op("serve_root"),),
    )


def _lowers(layout: Layout, spec: ContainerSpec) -> list[str]:
    # No layer may lie in another (ELOOP, ovl_check_layer in fs/overlayfs/super.c), as ours would in the host's root.
    lowers = layers.roots(layout, spec)
    if spec.image or not layout.is_inside(root_status(layout, spec)):
        return list(dict.fromkeys((*lowers, layout.mount_points)))
    return lowers


def _options(engine: Engine, lowers: Sequence[str], own: str) -> str:
    options = f"lowerdir={':'.join(layers.escaped(one) for one in lowers)}"
    if own:
        path = layers.escaped(own, _COMMA)
        options += f",upperdir={path}upper,workdir={path}work,volatile"
    # in a user namespace overlayfs keeps its attributes among the user's (Linux 5.11)
    return options + (",userxattr" if engine.rootless else "")
