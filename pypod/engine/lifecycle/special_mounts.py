"""Mounts that are more than a bind of their source: images, overlays, parts of volumes, other owners, propagation."""

from __future__ import annotations

import os

from pypod.engine.core.effects import Effect
from pypod.engine.storage import drivers, layers, mapped_layers
from pypod.engine.storage.mounting import overlay_options
from pypod.engine.storage.trash import discard
from pypod.errors import InvalidSpec, NoSuchImage, Unsupported
from pypod.model.mount import BIND, IMAGE, VOLUME, plain_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.engine.core.context import Context
    from pypod.engine.images.stored import StoredImage
    from pypod.engine.session.id_maps import Maps
    from pypod.engine.storage.volumes import Volumes
    from pypod.model.container import ContainerSpec
    from pypod.model.mount import Mount

    Taken = tuple[str, tuple[str | int, ...]]

_OWN_LAYERS = ("upperdir=", "workdir=")


def is_special(mount: Mount) -> bool:
    """Return whether a mount needs what this module does."""
    asks = mount.chown or mount.overlay or mount.idmap or mount.subpath or _is_shared(mount)
    return bool(asks) or mount.type == IMAGE


def _is_shared(mount: Mount) -> bool:
    return mount.type == BIND and mount.propagation in ("shared", "rshared")


def require_images(context: Context, mounts: Iterable[Mount]) -> None:
    """Raise NoSuchImage when an image to be mounted does not exist."""
    for mount in mounts:
        if mount.type == IMAGE:
            _image(context, mount)


def _image(context: Context, mount: Mount) -> StoredImage:
    from pypod.engine.images import stored

    try:
        return stored.find(context, mount.source).instance()
    except NoSuchImage as error:
        error.message = f'creating image volume "{mount.source}":"{mount.target}": {error.message}'
        error.exit_code = 126  # as in podman's `run`, which finds out when it starts the container
        raise


class SpecialMounts:
    """Such mounts of a container that is about to start, in the order of its specification."""

    def __init__(
        self, context: Context, spec: ContainerSpec, directory: str, maps: Maps | None, volumes: Volumes | None
    ) -> None:
        self._context = context
        self._spec = spec
        self._maps = maps
        self._volumes = volumes
        self._mounts = {
            f"{directory}/mounts/{number}": mount for number, mount in enumerate(spec.mounts) if is_special(mount)
        }
        self._images = {place: self._of_image(mount) for place, mount in self._mounts.items() if mount.type == IMAGE}

    def _of_image(self, mount: Mount) -> ContainerSpec:
        """Return the container's specification with the image of a mount in place of its own, for the layers."""
        directories = _image(self._context, mount).layer_directories()
        spec = self._spec.replace(image=mount.source, layers=directories)
        return mapped_layers.with_mapped(self._context, spec, self._maps)

    def _source(self, mount: Mount) -> str:
        return self._volumes.place(mount) if mount.type == VOLUME and self._volumes else mount.source

    def _stack(self, place: str, mount: Mount) -> list[str]:
        """Return the directories that an overlay shows, the topmost first."""
        return layers.roots(self._context.layout, self._images[place]) if mount.type == IMAGE else [self._source(mount)]

    @property
    def _copies(self) -> bool:
        """Whether directories are stacked by copying: for one mount no program is worth running."""
        return not drivers.of(self._context).is_kernel

    def preparations(self) -> list[Effect]:
        """Return what must exist before the container starts. An overlay begins anew with each start."""
        made: list[Effect] = []
        for place, mount in self._mounts.items():
            if mount.type == IMAGE:
                made += mapped_layers.preparations(self._context, self._images[place], self._maps)
            if not (mount.type == IMAGE or mount.overlay) or _has_own_layers(mount):
                continue
            if self._copies:
                made.append(self._copying(place, mount))
            elif not (mount.type == IMAGE and mount.read_only):
                made.append(self._layering(place, mount))
        return made

    def _copying(self, place: str, mount: Mount) -> Effect:
        def copy() -> None:
            discard(self._context, [place])
            os.makedirs(place, 0o700)
            layers.merge(self._context, self._stack(place, mount), f"{place}/tree")

        return Effect(f"copy {mount.source} to {place}/tree", "copy_file_range(2)", copy)

    def _layering(self, place: str, mount: Mount) -> Effect:
        def make() -> None:
            discard(self._context, [place])
            os.makedirs(f"{place}/work", 0o700)
            top = os.stat(self._stack(place, mount)[0])
            of_image = mount.type == IMAGE
            layers.upper(self._context, f"{place}/upper", top, self._maps, of_image=of_image).perform()

        return Effect(f"make directory {place}/upper for what is written to {mount.target}", "mkdir(2)", make)

    def taken(self) -> dict[str, Taken]:
        """Return for each target the operation, without its slot, that opens the source."""
        found = {}
        for place, mount in self._mounts.items():
            taken = self._taken(place, mount)
            if taken:
                found[plain_path(mount.target)] = taken
        return found

    def _taken(self, place: str, mount: Mount) -> Taken | None:
        if mount.type == IMAGE or mount.overlay:
            if self._copies and not _has_own_layers(mount):
                return "open_subtree", (f"{place}/tree", mount.subpath, 0)
            return "open_overlay", (self._context.layout.merged, mount.subpath, ",".join(self.overlay(mount)))
        if mount.subpath:
            return "open_subtree", (self._source(mount), mount.subpath, int(mount.recursive))
        if _is_shared(mount) and self._maps is None and not self._context.rootless:
            # from outside of the container's mount namespace, which gets no mounts that are shared with the host's
            own = os.getpid()
            start_time = self._context.proc.start_time(own) or 0
            return "capture", (own, start_time, mount.source, int(mount.recursive))
        return None

    def overlay(self, mount: Mount) -> list[str]:
        """Return the options of the overlay that a mount is."""
        place = next(place for place, one in self._mounts.items() if one == mount)
        stack = self._stack(place, mount)
        if _has_own_layers(mount):
            own = [f"{key}={layers.escaped(path)}" for key, _, path in (one.partition("=") for one in mount.options)]
            return [*overlay_options(self._context, stack, "").split(","), *own]
        if mount.type == IMAGE and mount.read_only:  # the kernel wants two layers
            return overlay_options(self._context, [*stack, self._context.layout.merged], "").split(",")
        return overlay_options(self._context, stack, f"{place}/").split(",")

    def given(self) -> dict[str, bool]:
        """Return the targets that are given to the container's user, with all in them."""
        return {plain_path(one.target): True for one in self._mounts.values() if one.chown and _has_owner(one)}

    def mapped(self) -> tuple[str, ...]:
        """Return the directories whose owners are mapped to the container's user namespace."""
        asked = [one.source for one in self._mounts.values() if one.idmap and one.type == BIND]
        if asked and self._context.rootless and self._maps is not None:
            message = "the kernel does not let a user id-map a file system that root mounted (mount_setattr(2))"
            raise Unsupported("idmap", message, hint="use U, which changes the owners")
        return tuple(dict.fromkeys(asked)) if self._maps is not None else ()


def owned_options(mount: Mount, user: str) -> tuple[str, ...]:
    """Return the options of a tmpfs that belongs to the container's user. Raises InvalidSpec for a name."""
    own = []
    for key, name in zip(("uid", "gid"), (user or "0").split(":"), strict=False):
        if not name.isdecimal():
            message = f"a tmpfs is given to a user by number, not to {name!r}"
            raise InvalidSpec(mount.argument, message, hint=f"use --user with numbers, or {key}=NUMBER instead of U")
        own.append(f"{key}={name}")
    return (*own, *mount.options)


def _has_owner(mount: Mount) -> bool:
    """Return whether a mount can be given to a user. For an overlay that changes none of the host's files."""
    return mount.type in (BIND, VOLUME)


def _has_own_layers(mount: Mount) -> bool:
    """Return whether an overlay writes to directories of the user's."""
    if not mount.overlay or not mount.options:
        return False
    names = [one for one in _OWN_LAYERS if any(option.startswith(one) for option in mount.options)]
    if len(names) < len(_OWN_LAYERS):
        raise InvalidSpec(mount.argument, "an overlay volume needs both upperdir and workdir, or neither")
    return True
