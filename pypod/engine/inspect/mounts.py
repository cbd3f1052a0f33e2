"""Mounts in the form of ``podman inspect``."""

from __future__ import annotations

from pypod.engine.inspect import form
from pypod.model.mount import BIND, DEVPTS, IMAGE, VOLUME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from pypod.engine.core.context import Context
    from pypod.model.mount import Mount

_ORDER = (VOLUME, IMAGE, DEVPTS, BIND)


def shown(context: Context, mounts: Sequence[Mount]) -> list[dict[str, Any]]:
    """Return a container's or pod's mounts, in podman's order; file systems in memory are not among them."""
    places = _places(context, [mount.source for mount in mounts if mount.type == VOLUME])
    found = (mount for kind in _ORDER for mount in mounts if mount.type == kind)
    return [_mount(mount, places) for mount in found]


def _places(context: Context, names: Sequence[str]) -> dict[str, str]:
    """Return the directories of volumes on the host."""
    if not names:
        return {}
    from pypod.engine.storage.volume_files import place
    from pypod.store import volumes

    return {one.name: place(context.layout, one) for one in volumes.of_names(context.database, names)}


def _mount(mount: Mount, places: dict[str, str]) -> dict[str, Any]:
    if mount.type == IMAGE:
        values = {"Type": IMAGE, "Source": mount.source, "Destination": mount.target, "RW": not mount.read_only}
        return {**form.fill(form.MOUNT, values), "Options": None}
    if mount.type == DEVPTS:
        options = list(mount.options)
        values = {"Type": BIND, "Source": DEVPTS, "Destination": mount.target, "Options": options}
        return form.fill(form.MOUNT, values)
    is_volume = mount.type == VOLUME
    values = {
        "Type": mount.type,
        "Source": places.get(mount.source, mount.source) if is_volume else mount.source,
        "Destination": mount.target,
        "Driver": "local" if is_volume else "",
        "Mode": mount.relabel,
        "Options": [*_asked(mount), *_attributes(mount), "rbind" if mount.recursive else "bind"],
        "RW": not mount.read_only,
        "Propagation": mount.propagation,
    }
    filled = form.fill(form.MOUNT, values)
    if not is_volume:
        return filled
    first = {"Type": filled.pop("Type"), "Name": mount.source}
    return {**first, **filled}


def _asked(mount: Mount) -> list[str]:
    """Return the options that are not the kernel's."""
    flags = (
        ("nocopy", mount.type == VOLUME and not mount.copy_up),
        ("U", mount.chown),
        ("O", mount.overlay),
        ("idmap", mount.idmap),
        ("noexec", mount.no_exec),
    )
    return [name for name, given in flags if given]


def _attributes(mount: Mount) -> list[str]:
    return [name for name, given in (("nosuid", mount.no_suid), ("nodev", mount.no_dev)) if given]


def binds(mounts: Iterable[Mount]) -> list[str]:
    """Return HostConfig.Binds."""
    return [_bind(mount) for mount in mounts if mount.type in (BIND, VOLUME)]


def _bind(mount: Mount) -> str:
    words = [
        *(word for word in _asked(mount) if word != "noexec"),
        *([mount.relabel] if mount.relabel else []),
        "ro" if mount.read_only else "rw",
        *(["noexec"] if mount.no_exec else []),
        mount.propagation,
        *_attributes(mount),
        "rbind" if mount.recursive else "bind",
    ]
    return f"{mount.source}:{mount.target}:{','.join(words)}"


def tmpfs(mount: Mount) -> str:
    """Return the value of a path in HostConfig.Tmpfs."""
    attributes = [*_attributes(mount), *(["noexec"] if mount.no_exec else [])]
    access = "ro" if mount.read_only else "rw"
    copied = ("tmpcopyup",) if mount.copy_up else ()
    return ",".join((*mount.options, access, mount.propagation, *attributes, *copied))
