"""diff: the changes of a container or an image to the files of the layers below it."""

from __future__ import annotations

import sys

from pypod.cli.flags.objects import LATEST
from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.errors import InvalidSpec, NoSuchContainer, NoSuchImage, NotFound, PypodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.api.container import Container
    from pypod.api.engine import Engine
    from pypod.api.images.image import Image
    from pypod.cli.flags.parser import Parsed

_FORMAT = Flag(name="format", help="Change the output format (json)")
DIFF = Command(
    path="pypod diff",
    summary="Display the changes to the object's file system",
    description="Displays changes on a container or image's filesystem, compared to the layer below it or the second "
    "argument.",
    synopsis="[options] {CONTAINER|IMAGE} [{CONTAINER|IMAGE}]",
    flags=(_FORMAT, LATEST),
    examples=("pypod diff imageID", "pypod diff ctrID", "pypod diff --format json redis:alpine"),
    max_args=2,
)
CONTAINER_DIFF = Command(
    path="pypod container diff",
    summary="Inspect changes to the container's file systems",
    description="Displays changes on a container's filesystem, compared to its image.",
    synopsis="[options] CONTAINER [CONTAINER]",
    flags=(_FORMAT, LATEST),
    examples=("pypod container diff myCtr", "pypod container diff -l --format json myCtr"),
    max_args=2,
)
IMAGE_DIFF = Command(
    path="pypod image diff",
    summary="Inspect changes to the image's file systems",
    description="Displays changes on an image's filesystem, compared to the layer below its topmost one.",
    synopsis="[options] IMAGE [IMAGE]",
    flags=(_FORMAT,),
    examples=("pypod image diff myImage", "pypod image diff --format json redis:alpine"),
    min_args=1,
    max_args=2,
)
_NAMES = (("changed", "C"), ("added", "A"), ("deleted", "D"))


def run_diff(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod diff``."""
    return _diff(options, root, "all")


def run_container_diff(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod container diff``."""
    return _diff(options, root, "container")


def run_image_diff(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod image diff``."""
    return _diff(options, root, "image")


def _diff(options: Parsed, root: str | None, kind: str) -> int:
    from pypod.api.engine import Engine

    words, form = options.positionals, options["format"]
    latest = kind != "image" and options["latest"]
    if latest and words:
        raise UsageError("", "--latest and containers cannot be used together")
    if not words and not latest:
        raise UsageError("", f'"{options.command.path}" requires a name, id, or the "--latest" flag')
    if form not in ("", "json"):
        raise InvalidSpec("--format", "only supported value for '--format' is 'json'")
    with Engine(root) as engine:
        one, *bases = [_find(engine, word, kind) for word in words] or [_latest(engine)]
        found = one.changes(*bases)
    if form:
        _write_json(found)
    else:
        sys.stdout.write("".join([f"{change} {path}\n" for change, path in found]))
    return 0


def _latest(engine: Engine) -> Container:
    containers = engine.containers.list(all=True)
    if not containers:
        raise InvalidSpec("--latest", "no containers found")
    return containers[-1]


def _find(engine: Engine, word: str, kind: str) -> Container | Image:
    if kind != "image":
        try:
            return engine.containers.get(word)
        except NoSuchContainer as error:
            if kind == "container":
                raise _NotFound(word, "container not known") from error
    try:
        return engine.images.get(word)
    except NoSuchImage as error:
        raise _NotFound(word, str(error) if kind == "image" else "layer not known") from error
    except InvalidSpec as error:
        raise _NotFound(word, str(error)) from error


class _NotFound(NotFound):
    def __init__(self, ref: str, reason: str) -> None:
        PypodError.__init__(self, f"{ref} not found: {reason}")
        self.ref = ref


def _write_json(found: Sequence[tuple[str, str]]) -> None:
    from pypod.cli.go.json import encode
    from pypod.cli.go.values import Struct

    listed = {name: [path for change, path in found if change == letter] for name, letter in _NAMES}
    shown = Struct((name, paths) for name, paths in listed.items() if paths)
    sys.stdout.write(encode(shown, indent="     ") + "\n")
