"""Image layers with other owners, for containers of users whose ids are not those of their session.

For root, the kernel maps the owners of a layer (mount_setattr(2), MOUNT_ATTR_IDMAP). It refuses to do so for a user on
a file system that root mounted. There, a copy is made for each set of maps, beside the layer and kept as long as that.
It is made with privilege over every id, inside the session (``inside.call``).
"""

from __future__ import annotations

import os

from pypod.engine.core.effects import Effect
from pypod.engine.core.locks import SHARED, Lock
from pypod.engine.session import session
from pypod.kernel import idmap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.engine.session.id_maps import Maps
    from pypod.model.container import ContainerSpec

_SEPARATOR = "."


def owner_of(copy: str) -> str:
    """Return the name of the layer that a directory of the layer store belongs to: its own, or that it is a copy of."""
    return copy.partition(_SEPARATOR)[0]


def with_mapped(context: Context, spec: ContainerSpec, maps: Maps | None) -> ContainerSpec:
    """Return the specification with layers replaced by their copies for these maps, where copies are needed."""
    if not spec.image or maps is None or (own := session.of(context)) is None or own.has_one_id:
        return spec
    import hashlib

    key = hashlib.sha256("|".join(map(idmap.lines, maps)).encode()).hexdigest()[:8]
    return spec.replace(layers=tuple(f"{name}{_SEPARATOR}{key}" for name in spec.layers))


def as_started(context: Context, spec: ContainerSpec) -> tuple[ContainerSpec, Maps | None]:
    """Return the specification with the layers of the last run, and the maps that own its files.

    No maps means that the files have the image's ids.
    """
    from pypod.engine.session.id_maps import maps_for

    maps = maps_for(context, spec)
    mapped = with_mapped(context, spec, maps)
    there = all(os.path.isdir(f"{context.layout.image_layers}/{name}") for name in mapped.layers)
    return (mapped, maps) if there and mapped != spec else (spec, None)


def mapped_trees(context: Context, spec: ContainerSpec, maps: Maps | None) -> tuple[str, ...]:
    """Return the directories to id-map for a user namespace: our storage, or the root itself.

    A rootless user may not id-map a file system that was mounted by root (mount_setattr(2)), and gets copies of the
    layers instead.
    """
    whole = maps is None or (idmap.is_whole(maps[0]) and idmap.is_whole(maps[1]))
    if whole or context.rootless:
        return ()
    return (context.layout.root,) if spec.overlay else (spec.rootfs,) if spec.idmap else ()


def preparations(context: Context, mapped: ContainerSpec, maps: Maps | None) -> list[Effect]:
    """Return what makes the missing copies for a specification returned by ``with_mapped``."""
    missing = [
        name
        for name in mapped.layers
        if _SEPARATOR in name and not os.path.isdir(f"{context.layout.image_layers}/{name}")
    ]
    return [_making(context, name, maps) for name in missing] if maps else []


def mount_points(context: Context, directory: str, maps: Maps | None, without: tuple[str, ...] = ()) -> str:
    """Return the lowest layer of a container: ours, or a copy in its directory that root of the container owns.

    It is ``without`` the files of /etc that the container does not get.

    Root of a container that lacks the id of its session's root could create nothing in ours, such as /run/secrets.
    """
    own = session.of(context) if maps is not None else None
    ours = context.layout.mount_points_without(without)
    return ours if own is None or own.has_one_id else f"{directory}/mount-points"


def making_mount_points(
    context: Context, directory: str, maps: Maps | None, without: tuple[str, ...] = ()
) -> list[Effect]:
    """Return what makes the mount points, if they are not there yet."""
    layout = context.layout
    source, target = layout.mount_points_without(without), mount_points(context, directory, maps, without)
    made: list[Effect] = []
    if not layout.has_mount_points_without(without):
        made.append(
            Effect(f"create the mount points in {source}", "mkdir(2)", lambda: layout.make_mount_points(without))
        )
    if target == source or maps is None or os.path.isdir(target):
        return made

    def make() -> None:
        from pypod.engine.session import inside
        from pypod.engine.storage.trash import discard

        incoming = f"{target}.incoming"
        discard(context, [incoming])  # left by a process that was killed
        _copied(context, source, incoming, maps)
        inside.move(context, incoming, target)

    return [*made, Effect(f"copy {source} to {target} with the owners that the user namespace has", "chown(2)", make)]


def _making(context: Context, name: str, maps: Maps) -> Effect:
    source = f"{context.layout.image_layers}/{owner_of(name)}"

    def make() -> None:
        incoming = f"{context.layout.images}/incoming/{name}"
        with Lock(context.layout.images, SHARED) as held, held, Lock(incoming) as lock, lock:
            tree, target = f"{incoming}/tree", f"{context.layout.image_layers}/{name}"
            if os.path.isdir(target):  # made meanwhile by another process
                return
            from pypod.engine.session import inside
            from pypod.engine.storage.trash import discard

            discard(context, [tree])
            _copied(context, source, tree, maps)
            inside.move(context, tree, target)

    return Effect(f"copy layer {source} with the owners that the user namespace has", "chown(2)", make)


def _copied(context: Context, source: str, target: str, maps: Maps) -> None:
    from pypod.engine.session import inside

    if inside.is_needed(context):
        inside.call(context, _copy, source, target, maps)
    else:
        _copy(context, source, target, maps)


def _copy(context: Context, source: str, target: str, maps: Maps) -> None:
    from pypod.engine.storage import layer_copies

    del context
    layer_copies.copy(source, target, maps)
