"""image mount and image unmount: mount an image's root file system on the host."""

from __future__ import annotations

import sys

from pypod.cli.flags.parser import Command, Flag
from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.api.engine import Engine
    from pypod.api.images.image import Image
    from pypod.cli.flags.parser import Parsed

IMAGE_MOUNT = Command(
    path="pypod image mount",
    summary="Mount an image's root filesystem",
    description="Mounts an image read-only and prints the mount point. Without an image, lists all mounted images.",
    synopsis="[options] [IMAGE...]",
    flags=(
        Flag(name="all", short="a", kind="bool", help="Mount all images"),
        Flag(name="format", help="Print the mounted images in specified format (json)"),
    ),
    examples=("pypod image mount imgID", "pypod image mount", "pypod image mount --all"),
)
IMAGE_UNMOUNT = Command(
    path="pypod image unmount",
    summary="Unmount an image's root filesystem",
    description="Unmounts images and prints the IDs of the images that were mounted.",
    synopsis="[options] IMAGE [IMAGE...]",
    flags=(
        Flag(name="all", short="a", kind="bool", help="Unmount all of the currently mounted images"),
        Flag(name="force", short="f", kind="bool", help="Accepted for compatibility with podman; has no effect"),
    ),
    aliases=("umount",),
    examples=("pypod image unmount imgID", "pypod image unmount --all"),
)


def run_image_mount(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod image mount``."""
    from pypod.api.engine import Engine

    words, form = options.positionals, options["format"]
    if form not in ("", "json"):
        raise InvalidSpec("--format", f'unknown --format argument: "{form}"')
    _check(options)
    with Engine(root) as engine:
        if words or options["all"]:
            images = engine.images.list() if options["all"] else [engine.images.get(word) for word in words]
            found = [(image, image.mount()) for image in dict.fromkeys(images)]
        else:
            found = _mounted(engine)
        if len(words) == 1 and not form:
            sys.stdout.write(f"{found[0][1]}\n")
        elif form:
            _write_json(found)
        else:
            from pypod.cli.render.output import align

            sys.stdout.write(align("".join([f"{image.used_name}\t{path}\n" for image, path in found])))
    return 0


def _check(options: Parsed) -> None:
    if options["all"] and options.positionals:
        raise InvalidSpec("--all", "when using the --all switch, you may not pass any image names or IDs")


def _mounted(engine: Engine) -> list[tuple[Image, str]]:
    return [(image, path) for image in engine.images.list() if (path := image.mount_point)]


def _write_json(found: list[tuple[Image, str]]) -> None:
    from pypod.cli.go.json import encode
    from pypod.cli.go.values import Struct

    listed = [
        Struct(id=image.id, Names=[image.digest], Repositories=list(image.names), mountpoint=path)
        for image, path in found
    ]
    sys.stdout.write(encode(listed, indent=" ") + "\n")


def run_image_unmount(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod image unmount``."""
    from pypod.api.engine import Engine

    if not options.positionals and not options["all"]:
        raise InvalidSpec("IMAGE", "image name or ID must be specified")
    _check(options)
    with Engine(root) as engine:
        if options["all"]:
            images = [image for image, _ in _mounted(engine)]
        else:
            images = [engine.images.get(word) for word in options.positionals]
        for image in images:
            if image.unmount():
                print(image.id, flush=True)
    return 0
