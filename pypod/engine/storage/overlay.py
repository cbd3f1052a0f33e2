"""The root of a container, made from its layers: mounted by the kernel or by a mount program, or copied."""

from __future__ import annotations

import os

from pypod.engine.storage import drivers, layers, mapped_layers, mount_points
from pypod.engine.storage.mounting import PROGRAM_DIRECTORY, mounted, overlay_options, served
from pypod.errors import InvalidSpec, Unsupported
from pypod.kernel.proc import read_bytes
from pypod.runtime.compiler.files import bound
from pypod.runtime.compiler.surroundings import Root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.engine.core.effects import Effect
    from pypod.engine.core.layout import Layout
    from pypod.engine.session.id_maps import Maps
    from pypod.engine.storage.drivers import Driver
    from pypod.errors import LaunchFailed
    from pypod.model.container import ContainerSpec

_OPTIONS_BYTES_LIMIT = 4096 - 1  # mount(2) copies a page less a byte (copy_mount_options in fs/namespace.c)


def root_status(layout: Layout, spec: ContainerSpec) -> os.stat_result:
    root = layers.roots(layout, spec)[0]
    try:
        return os.stat(root)
    except OSError as error:
        if spec.image:
            hint = f"pypod pull {spec.image} restores it"
            raise InvalidSpec("image", f"a layer of image {spec.image} is missing: {error}", hint=hint) from error
        raise InvalidSpec("--rootfs", f"rootfs {spec.rootfs}: {error.strerror}") from error


def driver_of(context: Context, spec: ContainerSpec, directory: str, *, asking: bool = False) -> Driver | None:
    """Return the driver of a container's root: the one that works here (probed if ``asking``) or its last one.

    None for a root that is used as it is. The kernel does not understand a mount program's marks of removals, so a
    container stays with the driver that wrote its layer. A full copy can be made of what either wrote.
    """
    if not spec.overlay:
        return None
    copies = drivers.Driver(name=drivers.VFS)
    if os.path.isdir(layers.copy_in(directory)):
        return copies
    if os.path.isdir(f"{directory}/{PROGRAM_DIRECTORY}"):
        return drivers.program_of(context, asking=asking) or copies
    driver = drivers.of(context) if asking else drivers.expected(context)
    if context.rootless and spec.rootfs and driver.is_kernel and _has_mounts_in(spec.rootfs):
        return drivers.program_of(context, asking=asking) or driver
    return driver


def explain_refusal(context: Context, spec: ContainerSpec, error: LaunchFailed) -> None:
    """Say in the hint of a refused overlay why the mount program, which needs no permission for it, was not used."""
    if context.rootless and spec.rootfs and spec.overlay and error.call == "mount" and "fuse-overlayfs" in error.hint:
        error.hint += f" ({missing})" if (missing := drivers.program_missing(context)) else ""


def _has_mounts_in(directory: str) -> bool:
    """Return whether a directory has mounts below it, which are locked to it in a user namespace.

    The kernel refuses to make an overlay layer of it, as that would reveal what they cover, and takes no tree with
    mounts for a layer, not even through open_tree(2): EINVAL of clone_private_mount in fs/namespace.c. A mount program
    opens one file after the other.
    """
    path = os.fsencode(os.path.realpath(directory).rstrip("/") + "/")
    content = read_bytes("/proc/self/mountinfo")
    if b" " + path not in content:  # fast path: every start asks
        return False
    points = [line.split(b" ", 5)[4] for line in content.splitlines()]
    return any(point.startswith(path) and point != b"/" for point in points)


def container_root(
    context: Context,
    driver: Driver | None,
    spec: ContainerSpec,
    directory: str,
    maps: Maps | None,
    without: tuple[str, ...],
) -> Root:
    """Return how the root of a container is made, with what it wrote on top; ``without`` files that it does not get."""
    if driver is not None and is_mounted(driver, directory):
        return Root(first=bound(mount_points.of_container(directory), context.layout.merged))
    points = mapped_layers.mount_points(context, directory, maps, without)
    return _of(context, driver, spec, directory, f"{directory}/", points) if driver else Root()


def is_mounted(driver: Driver, directory: str) -> bool:
    """Return whether the kernel's overlay of a container is mounted on the host already."""
    return driver.is_kernel and os.path.ismount(mount_points.of_container(directory))


def read_only_root(context: Context, driver: Driver | None, spec: ContainerSpec, directory: str) -> Root:
    """Return the same for a root that will not be written to."""
    return _of(context, driver, spec, directory, "", context.layout.mount_points) if driver else Root()


def preparations(
    context: Context,
    driver: Driver | None,
    spec: ContainerSpec,
    directory: str,
    root: os.stat_result,
    maps: Maps | None = None,
    *,
    without: tuple[str, ...] = (),
    read_only: bool = False,
) -> list[Effect]:
    """Return what must exist before the root of a container is made; ``root`` has the owner of its directories.

    ``without`` are the files of /etc that the container does not get.
    """
    from pypod.engine.core import effects

    if driver is None or is_mounted(driver, directory):
        return []
    if driver.program and maps is not None and not context.rootless:
        hint = f"unset ${drivers.OPTIONS_VARIABLE}: the kernel's overlay can"
        raise Unsupported("--userns", "a mount program cannot map owners for a user namespace of root", hint=hint)
    made = mapped_layers.making_mount_points(context, directory, maps, without)
    if driver.copies:
        points = mapped_layers.mount_points(context, directory, maps, without)
        return [*made, *_copying(context, spec, directory, root, maps, points)]
    if not read_only:
        upper = f"{directory}/upper"
        if not os.path.isdir(upper):
            made.append(layers.upper(context, upper, root, maps, of_image=bool(spec.image)))
        made += layers.work(f"{directory}/work")
    return [*made, effects.directory(f"{directory}/{PROGRAM_DIRECTORY}")] if driver.program else made


def _copying(
    context: Context, spec: ContainerSpec, directory: str, root: os.stat_result, maps: Maps | None, points: str
) -> list[Effect]:
    if os.path.isdir(layers.copy_in(directory)):
        return []
    if not spec.image and context.layout.is_inside(root):
        hint = "use a directory that does not contain it, such as /usr:O, or another storage (--root)"
        raise Unsupported("--rootfs", f"a copy of {spec.rootfs} would contain the storage itself", hint=hint)
    # a container that ran under another driver before keeps what it wrote
    upper = [one for one in (f"{directory}/upper",) if os.path.isdir(one)]
    stack = [*upper, *_lowers(context.layout, spec, points)]
    return [layers.copying(context, stack, directory, root, maps, of_image=bool(spec.image))]


def _of(context: Context, driver: Driver, spec: ContainerSpec, directory: str, own: str, points: str) -> Root:
    target = context.layout.merged
    if driver.copies:
        return Root(mounting=bound(layers.copy_in(directory), target))
    lowers = _lowers(context.layout, spec, points)
    if driver.program:
        return served(context, driver.program, lowers, directory, own)
    options, base = overlay_options(context, lowers, own), ""
    if len(options) >= _OPTIONS_BYTES_LIMIT and spec.image:
        base = context.layout.image_layers
        names = [*spec.layers, points]
        options = overlay_options(context, names, own)
    return mounted(context, options, base)


def _lowers(layout: Layout, spec: ContainerSpec, points: str) -> list[str]:
    # No layer may lie inside another (ELOOP, ovl_check_layer in fs/overlayfs/super.c), as ours do in the host's /.
    lowers = layers.roots(layout, spec)
    if spec.image or not layout.is_inside(root_status(layout, spec)):
        return list(dict.fromkeys((*lowers, points)))
    return lowers
