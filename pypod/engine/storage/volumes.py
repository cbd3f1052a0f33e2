"""Anonymous volumes: directories beside the containers, and --volumes-from."""

from __future__ import annotations

import os

from pypod.engine.core.effects import Effect
from pypod.engine.storage.layers import give, root_ids
from pypod.errors import InvalidSpec, NoSuchContainer
from pypod.model.mount import parse_tmpfs, parse_volume, plain_path
from pypod.store import dependencies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pypod.engine.core.context import Context
    from pypod.engine.core.layout import Layout
    from pypod.engine.session.id_maps import Maps
    from pypod.model.container import ContainerSpec
    from pypod.model.mount import Mount
    from pypod.model.options.container import ContainerOptions
    from pypod.store.records import ContainerRecord

_FROM = "--volumes-from"


def making(context: Context, spec: ContainerSpec, maps: Maps | None = None) -> list[Effect]:
    """Return what creates the directories of a container's volumes; the mount fills them with the image's content.

    ``maps`` are those of its user namespace, whose root owns them.
    """
    paths = [f"{context.layout.volumes}/{mount.source}" for mount in spec.mounts if mount.type == "volume"]
    return [_making(context, path, maps) for path in paths if not os.path.isdir(path)]


def _making(context: Context, path: str, maps: Maps | None) -> Effect:
    def make() -> None:
        os.makedirs(context.layout.volumes, 0o700, exist_ok=True)
        os.makedirs(path, 0o755, exist_ok=True)
        give(context, path, root_ids(context, maps), 0o755)

    return Effect(f"make directory {path} for a volume", "mkdir(2)", make)


def with_sources(layout: Layout, spec: ContainerSpec) -> ContainerSpec:
    """Return the specification with the volumes' directories as sources; empty ones get the image's content."""
    if not any(mount.type == "volume" for mount in spec.mounts):
        return spec
    return spec.replace(mounts=tuple(_with_source(layout, mount) for mount in spec.mounts))


def _with_source(layout: Layout, mount: Mount) -> Mount:
    if mount.type != "volume":
        return mount
    path = f"{layout.volumes}/{mount.source}"
    return mount.replace(source=path, copy_up=_is_empty(path))


def _is_empty(directory: str) -> bool:
    try:
        with os.scandir(directory) as entries:
            return next(entries, None) is None
    except FileNotFoundError:
        return True


def only_of(context: Context, going: Sequence[ContainerRecord]) -> list[str]:
    """Return the directories of the volumes that are removed with these containers: no other one uses them."""
    found = dependencies.volumes_only_of(context.database, [record.id for record in going])
    return [f"{context.layout.volumes}/{volume}" for volume in found]


def orphans(context: Context) -> list[str]:
    """Return the directories of volumes that no container uses."""
    try:
        there = sorted(os.listdir(context.layout.volumes))
    except FileNotFoundError:
        return []
    known = dependencies.volumes(context.database)
    return [f"{context.layout.volumes}/{name}" for name in there if name not in known]


def with_volumes_from(options: ContainerOptions, spec_of: Callable[[str], ContainerSpec]) -> ContainerOptions:
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
            if mount.type in ("bind", "volume"):
                taken = mount.read_only if read_only is None else read_only
                found[plain_path(mount.target)] = mount.replace(read_only=taken, argument=_FROM)
    kept = [mount for target, mount in found.items() if target not in targets(options)]
    return options.replace(mounts=(*options.mounts, *kept))


def targets(options: ContainerOptions) -> set[str]:
    """Return the mount points that the container's own options name."""
    taken = {plain_path(mount.target) for mount in options.mounts}
    taken |= {plain_path(parse_volume(text).target) for text in options.volumes}
    return taken | {plain_path(parse_tmpfs(text).target) for text in options.tmpfs}


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
