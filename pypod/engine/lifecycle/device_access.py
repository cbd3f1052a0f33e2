"""The devices of a start: what a privileged container gets of the host's, and which may be used at all."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.engine.storage.drivers import Driver
    from pypod.kernel.cgroups.settings import Setting
    from pypod.model.container import ContainerSpec
    from pypod.runtime.ops import Op

_STANDARD = {"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx"}
# podman's list: file systems of their own, and what container managers put there
_LEFT_OUT = {"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"}
_FUSE = "c 10:229 rwm"


def of_host(*, consoles: bool) -> tuple[tuple[str | int, ...], ...]:
    """Return path, major, minor, mode, user and group of the device nodes in /dev, for --privileged.

    Without ``consoles`` the virtual ones (tty0 and so on) are left out: systemd would start a getty on each.
    """
    return tuple(sorted(_nodes("/dev", consoles=consoles)))


def _nodes(directory: str, *, consoles: bool) -> list[tuple[str | int, ...]]:
    import stat

    found: list[tuple[str | int, ...]] = []
    top = directory == "/dev"
    try:
        entries = list(os.scandir(directory))
    except OSError:  # gone, or not for this user
        return []
    for entry in entries:
        if top and (entry.name in _STANDARD or entry.name in _LEFT_OUT):
            continue
        if entry.is_dir(follow_symlinks=False):
            found += _nodes(entry.path, consoles=consoles)
            continue
        if not consoles and top and entry.name[:3] == "tty" and entry.name[3:].isdecimal():
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            number = os.major(status.st_rdev), os.minor(status.st_rdev)
            owner = (status.st_uid, status.st_gid) if status.st_uid or status.st_gid else ()
            found.append((entry.path, *number, status.st_mode, *owner))
    return found


def rules(context: Context, spec: ContainerSpec, driver: Driver | None) -> tuple[str, ...]:
    """Return the rules of access for a container that needs them; none for those of users, who cannot have them.

    ``driver`` provides its root.
    """
    if context.rootless:
        return ()
    from pypod.model.device import DEFAULT_RULES

    # a root that a program serves is mounted by a process in the cgroup
    own = (_FUSE,) if driver is not None and driver.program else ()
    return (*DEFAULT_RULES, *own, *(one.rule for one in spec.devices), *spec.device_rules)


def is_required(spec: ContainerSpec) -> bool:
    """Return whether the user asked for limits: a kernel without them must not be passed over."""
    return bool(spec.device_rules or any(one.access != "rwm" for one in spec.devices))


def filter_ops(context: Context, spec: ContainerSpec, driver: Driver | None, tracked: str) -> list[Op]:
    """Return the operation that limits the access in a v2 cgroup."""
    allowed = rules(context, spec, driver) if context.cgroups.filters_devices else ()
    if not allowed:
        return []
    from pypod.runtime.device_filter import device_filter
    from pypod.runtime.oci import oci_rules
    from pypod.runtime.ops import Op

    return [Op("device_filter", tracked, int(is_required(spec)), device_filter(oci_rules(allowed)))]


def settings(context: Context, spec: ContainerSpec, driver: Driver | None) -> tuple[Setting, ...]:
    """Return the settings that limit the access in a v1 tree. Raises Unsupported when they were asked for in vain."""
    allowed = rules(context, spec, driver)
    if not allowed:
        return ()
    from pypod.kernel.cgroups.settings import device_settings

    found = device_settings(allowed, optional=not is_required(spec))
    if "devices" in context.cgroups.controllers():
        return found
    if not is_required(spec):
        return ()
    from pypod.errors import Unsupported

    raise Unsupported("devices", "--device-cgroup-rule: cgroup controller devices is not available on this host")
