"""Fill in the options that the user did not give from an image's configuration."""

from __future__ import annotations

from pypod.engine.specs.variables import with_variables
from pypod.engine.storage.volumes_from import targets
from pypod.errors import InvalidSpec
from pypod.model.mount import Mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from pypod.model.images.config import ImageConfig
    from pypod.model.options.container import ContainerOptions

_VOLUME_TYPES = {"bind": "volume", "tmpfs": "tmpfs", "ignore": ""}  # podman-run(1), --image-volume


def with_defaults(
    options: ContainerOptions,
    command: Sequence[str] | str,
    config: ImageConfig,
    variables: Iterable[tuple[str, str]] = (),
) -> tuple[ContainerOptions, Sequence[str] | str]:
    """Return options and command, completed from an image's configuration; ``variables`` are defaults for its own.

    podman's rules (specgen/generate): a given entrypoint overrides the image's command, too; variables and labels are
    merged; everything else is replaced.
    """
    options = with_variables(options, (*variables, *config.environment))
    merged: dict[str, Any] = {"labels": {**dict(config.labels), **options.labels}}
    if options.entrypoint is None:
        merged["entrypoint"] = config.entrypoint if config.entrypoint != ("",) else ()  # builders write [""] for none
        command = command or config.command
    if not options.user:
        merged["user"] = config.user
    if not options.working_directory and config.working_directory:
        merged["working_directory"] = _absolute(config.working_directory)
    if not options.stop_signal and config.stop_signal:
        merged["stop_signal"] = config.stop_signal
    if options.healthcheck is None:
        merged["healthcheck"] = config.healthcheck
    ports = config.exposed_ports if options.publish_all else tuple(filter(_is_port, config.exposed_ports))
    merged["exposed_ports"] = tuple(dict.fromkeys((*ports, *options.exposed_ports)))
    merged["mounts"] = (*options.mounts, *_volumes(options, config))
    return options.replace(**merged), command


def _volumes(options: ContainerOptions, config: ImageConfig) -> list[Mount]:
    """Return mounts for the image's volumes, except where the user mounts something."""
    from os.path import normpath

    mode = options.image_volume
    if mode not in _VOLUME_TYPES:
        words = ", ".join(_VOLUME_TYPES)
        raise InvalidSpec("--image-volume", f'invalid image volume mode "{mode}" required value: {words}')
    if not _VOLUME_TYPES[mode]:
        return []
    places = sorted({normpath("/" + place.lstrip("/")) for place in config.volumes} - targets(options))
    kind = _VOLUME_TYPES[mode]
    return [
        Mount(
            type=kind,
            anonymous=kind == "volume",
            target=place,
            argument="image",
            no_suid=True,
            no_dev=True,
        )
        for place in places
    ]


def _is_port(text: str) -> bool:
    """Return whether an image's port is valid. An invalid one matters only when all ports are to be published."""
    from pypod.model.port import parse_exposed

    try:
        parse_exposed(text)
    except InvalidSpec:
        return False
    return True


def _absolute(directory: str) -> str:
    if not directory.startswith("/"):
        raise InvalidSpec("WorkingDir", f"the image's working directory {directory!r} is not absolute")
    return directory
