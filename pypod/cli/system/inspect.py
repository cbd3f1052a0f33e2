"""inspect, and inspect of containers, images, networks, pods and volumes."""

from __future__ import annotations

import sys

from pypod.cli.flags.objects import LATEST
from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.errors import (
    InvalidSpec,
    NoSuchContainer,
    NoSuchImage,
    NoSuchNetwork,
    NoSuchVolume,
    NotFound,
    PypodError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pypod.api.engine import Engine
    from pypod.cli.flags.parser import Parsed

FORMAT = Flag(name="format", short="f", default="json", help="Format the output to a Go template or json")
SIZE = Flag(name="size", short="s", kind="bool", help="Display total file size")
INSPECT = Command(
    path="pypod inspect",
    summary="Display the configuration of object denoted by ID",
    description="Displays the low-level information on an object identified by name or ID.",
    synopsis="[options] {CONTAINER|IMAGE|POD|NETWORK|VOLUME} [...]",
    flags=(
        FORMAT,
        LATEST,
        SIZE,
        Flag(
            name="type",
            short="t",
            default="all",
            help="Specify inspect-object type: all, container, image, network, pod or volume",
        ),
    ),
    examples=("pypod inspect ctrID", "pypod inspect --type pod mipod", 'pypod inspect --format "{{.Id}}" ctrID'),
)
CONTAINER_INSPECT = Command(
    path="pypod container inspect",
    summary="Display the configuration of a container",
    description="Displays the low-level information on a container identified by name or ID.",
    synopsis="[options] CONTAINER [CONTAINER...]",
    flags=(FORMAT, LATEST, SIZE),
    examples=("pypod container inspect myCtr", "pypod container inspect -l --format '{{.Id}} {{.Config.Labels}}'"),
)
IMAGE_INSPECT = Command(
    path="pypod image inspect",
    summary="Display the configuration of an image",
    description="Displays the low-level information of an image identified by name or ID.",
    synopsis="[options] IMAGE [IMAGE...]",
    flags=(FORMAT,),
    examples=("pypod image inspect alpine", 'pypod image inspect --format "imageId: {{.Id}} size: {{.Size}}" alpine'),
)
NETWORK_INSPECT = Command(
    path="pypod network inspect",
    summary="Displays the network configuration for one or more networks",
    description="Displays the configuration of a network and the containers attached to it.",
    synopsis="[options] NETWORK [NETWORK...]",
    flags=(FORMAT,),
    examples=("pypod network inspect podman", 'pypod network inspect --format "{{.NetworkInterface}}" front'),
    min_args=1,
)
POD_INSPECT = Command(
    path="pypod pod inspect",
    summary="Displays a pod configuration",
    description="Display the configuration for a pod by name or id",
    synopsis="[options] POD [POD...]",
    flags=(FORMAT, LATEST),
    examples=("pypod pod inspect podID",),
)
VOLUME_INSPECT = Command(
    path="pypod volume inspect",
    summary="Display detailed information on one or more volumes",
    description="Display detailed information on one or more volumes.\n\n  Use a Go template to change the format from "
    "JSON.",
    synopsis="[options] VOLUME [VOLUME...]",
    flags=(Flag(name="all", short="a", kind="bool", help="Inspect all volumes"), FORMAT),
    examples=("pypod volume inspect myvol", "pypod volume inspect --all"),
)
_INDENT = "     "
_TYPES = ("image", "container", "pod", "network", "volume", "all")


def run_inspect(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod inspect``."""
    kind = options["type"]
    if kind not in _TYPES:
        choices = ", ".join(f'"{name}"' for name in _TYPES[:-1])
        raise InvalidSpec("--type", f'invalid type "{kind}": must be {choices}, or "all"')
    if options["size"] and kind in ("image", "pod"):
        raise InvalidSpec("--size", f'size is not supported for type "{kind}"')
    if options["latest"] and kind in ("image", "network", "volume"):
        raise InvalidSpec("--latest", f'latest is not supported for type "{kind}"')
    return _inspect(options, root, kind, size=options["size"])


def run_container_inspect(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod container inspect``."""
    return _inspect(options, root, "container", size=options["size"])


def run_image_inspect(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod image inspect``."""
    return _inspect(options, root, "image")


def run_network_inspect(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod network inspect``."""
    return _inspect(options, root, "network")


def run_pod_inspect(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod pod inspect``."""
    return _inspect(options, root, "pod", bare=True)


def run_volume_inspect(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod volume inspect``."""
    if bool(options.positionals) == options["all"]:
        raise UsageError(options.command.path, "provide one or more volume names or use --all")
    return _inspect(options, root, "volume")


def _inspect(options: Parsed, root: str | None, kind: str, *, size: bool = False, bare: bool = False) -> int:
    from pypod.api.engine import Engine

    names = options.positionals
    latest = LATEST in options.command.flags and kind not in ("image", "network", "volume") and options["latest"]
    if latest and names:
        raise UsageError("", "--latest and arguments cannot be used together")
    every = kind == "volume" and not names
    if not latest and not names and not every:
        raise UsageError("", "no names or ids specified")
    found: list[dict[str, Any]] = []
    problems: list[str] = []
    with Engine(root) as engine:
        if every:
            names = [one.name for one in engine.volumes.list()]
        for name in names or ([] if every else [_latest(engine, kind)]):
            try:
                found.append(_find(engine, kind, name, size=size))
            except NoSuchImage as error:
                problems.append(str(error))
            except NoSuchNetwork as error:
                problems.append(f"network {name}: {error}")
            except NotFound:
                problems.append(f'no such object: "{name}"' if kind == "all" else f"no such {kind} {name}")
            except PypodError as error:
                if kind == "volume":
                    error.message = f"inspecting volume {name}: {error.message}"
                    raise
                problems.append(str(error))
    _write(_with_field_names(options["format"], kind), found, bare=bare)
    sys.stdout.flush()
    if not problems:
        return 0
    from pypod.cli.render.plain_text import tell

    for problem in problems[1:]:
        tell(f"error inspecting object: {problem}")
    tell(f"Error: inspecting object: {problems[0]}")
    return 125


def _latest(engine: Engine, kind: str) -> str:
    from pypod.cli.flags.selection import latest_pod

    if kind == "pod":
        return latest_pod(engine).id
    containers = engine.containers.summaries()
    if not containers:
        error = NoSuchContainer("--latest")
        error.message = "inspecting object: no containers to inspect: no such container"
        raise error
    return containers[-1].id


def _find(engine: Engine, kind: str, name: str, *, size: bool) -> dict[str, Any]:
    """Return the inspection data of an object. Raises NotFound, AmbiguousName.

    Like podman, prefer a container to an image, an image to a volume, a volume to a network and that to a pod of the
    same name.
    """
    if kind in ("all", "container"):
        try:
            return engine.containers.get(name).inspect(size=size)
        except NoSuchContainer:
            if kind == "container":
                raise
    if kind in ("all", "image"):
        try:
            return engine.images.get(name).inspect()
        except (NoSuchImage, InvalidSpec):
            if kind == "image":
                raise
    if kind in ("all", "volume"):
        try:
            return engine.volumes.get(name).inspect()
        except NoSuchVolume:
            if kind == "volume":
                raise
    if kind in ("all", "network"):
        try:
            return engine.networks.get(name).inspect()
        except NoSuchNetwork:
            if kind == "network":
                raise
    return engine.pods.get(name).inspect()


# Words for fields, as podman replaces them anywhere in a template before it is parsed.
_FIELD_NAMES = {
    ".Src": ".Source",
    ".Dst": ".Destination",
    ".ImageID": ".Image",
}
_FIELD_NAMES_OF_IMAGES = {**_FIELD_NAMES, ".Config.Healthcheck": ".HealthCheck"}


def _with_field_names(text: str, kind: str) -> str:
    for word, name in (_FIELD_NAMES_OF_IMAGES if kind == "image" else _FIELD_NAMES).items():
        text = text.replace(word, name)
    return text


def _write(text: str, found: list[dict[str, Any]], *, bare: bool) -> None:
    from pypod.cli.render.output import is_json
    from pypod.cli.system.inspect_form import as_json, for_template, text_of_json

    if is_json(text) or not (text or bare):
        from pypod.cli.go.json import encode

        shown = [as_json(one) for one in found]
        # a single pod is printed without a list around it
        sys.stdout.write(encode(shown[0] if bare and len(shown) == 1 else shown, indent=_INDENT) + "\n")
        return
    from pypod.cli.go.values import TemplateError
    from pypod.cli.render.output import align, compile_format

    functions: dict[str, Callable[..., object]] = {"json": text_of_json}
    try:
        table, template = compile_format(text, name="inspect", functions=functions)
        output = template.render([for_template(one) for one in found])
    except TemplateError as error:
        sys.stdout.write(error.written)
        raise InvalidSpec("--format", f"inspecting object: printing inspect output: {error}") from error
    sys.stdout.write(align(output) if table else output)
