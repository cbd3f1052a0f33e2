"""Mounts that a container takes over: those of --volumes-from, and those of its pod."""

from __future__ import annotations

from pypod.errors import InvalidSpec, NoSuchContainer
from pypod.model.mount import parse_tmpfs, plain_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from pypod.model.container import ContainerSpec
    from pypod.model.mount import Mount
    from pypod.model.options.container import ContainerOptions
    from pypod.model.options.pod import PodOptions
    from pypod.model.pod import PodSpec

    Asking = TypeVar("Asking", ContainerOptions, PodOptions)

_FROM = "--volumes-from"


def with_volumes_from(options: Asking, spec_of: Callable[[str], ContainerSpec]) -> Asking:
    """Return the options with the mounts of the containers in ``volumes_from`` added.

    ``spec_of`` looks up a container's specification. As in podman: binds and volumes but no tmpfs; later containers
    override earlier ones, and the container's own mounts override all. Raises InvalidSpec.
    """
    if not options.volumes_from:
        return options
    found: dict[str, Mount] = {}
    for word in options.volumes_from:
        ref, _, flags = word.partition(":")
        read_only = _read_only(flags)
        try:
            spec = spec_of(ref)
        except NoSuchContainer as error:
            raise InvalidSpec(_FROM, f'looking up container "{ref}" for volumes-from: {error}') from error
        for mount in spec.mounts:
            if mount.type in ("bind", "image", "volume"):
                taken = mount.read_only if read_only is None else read_only
                found[plain_path(mount.target)] = mount.replace(read_only=taken, argument=_FROM)
    taken_over: list[Mount] = [mount for target, mount in found.items() if target not in targets(options)]
    return options.replace(mounts=(*options.mounts, *taken_over))


def with_pod_mounts(options: ContainerOptions, pod: PodSpec | None) -> ContainerOptions:
    """Return the options of a pod's member with the pod's mounts added, except where it mounts something itself."""
    if pod is None or not pod.mounts:
        return options
    taken = targets(options)
    kept = [mount for mount in pod.mounts if plain_path(mount.target) not in taken]
    return options.replace(mounts=(*options.mounts, *kept))


def targets(options: ContainerOptions | PodOptions) -> set[str]:
    """Return the mount points that the options of a container or a pod name."""
    taken = {plain_path(mount.target) for mount in options.mounts}
    if options.volumes:
        from pypod.model.mount_flags import parse_volume

        taken |= {plain_path(parse_volume(text).target) for text in options.volumes}
    return taken | {plain_path(parse_tmpfs(text).target) for text in getattr(options, "tmpfs", ())}


def _read_only(flags: str) -> bool | None:
    """Parse the options of --volumes-from; None leaves each mount's mode unchanged."""
    words = flags.split(",") if flags else []
    for word in words:
        if word not in ("ro", "rw", "z"):
            what = "volumes from another container can only use z,ro,rw options"
            raise InvalidSpec(_FROM, f'invalid option "{word}" specified - {what}')
    if words.count("z") > 1:
        raise InvalidSpec(_FROM, "cannot set :z more than once in mount options")
    access = [word == "ro" for word in words if word != "z"]
    if len(access) > 1:
        raise InvalidSpec(_FROM, "cannot set ro or rw options more than once")
    return access[0] if access else None
