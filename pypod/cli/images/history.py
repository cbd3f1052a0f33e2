"""history and image tree: the build steps and the layers of an image."""

from __future__ import annotations

import sys

from pypod.cli.flags.parser import Command, Flag
from pypod.cli.go.values import Struct, go_time
from pypod.cli.render.output import human_ago, human_size
from pypod.model.ids import SHORT_ID_LENGTH
from pypod.model.moment import rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pypod.cli.flags.parser import Parsed
    from pypod.model.images.config import ImageStep

HISTORY = Command(
    path="pypod history",
    summary="Show history of a specified image",
    description="Displays the history of an image. The information can be printed out in an easy to read, or JSON.",
    synopsis="[options] IMAGE",
    flags=(
        Flag(name="format", help="Change the output to JSON or a Go template"),
        Flag(
            name="human",
            short="H",
            kind="bool",
            default=True,
            help="Display sizes and dates in human readable format",
        ),
        Flag(name="no-trunc", aliases=("notruncate",), kind="bool", help="Do not truncate the output"),
        Flag(name="quiet", short="q", kind="bool", help="Display the numeric IDs only"),
    ),
    examples=("pypod history quay.io/fedora/fedora",),
    min_args=1,
    max_args=1,
)
IMAGE_TREE = Command(
    path="pypod image tree",
    summary="Print layer hierarchy of an image in a tree format",
    description="Prints layer hierarchy of an image in a tree format",
    synopsis="[options] IMAGE",
    flags=(Flag(name="whatrequires", kind="bool", help="Show all child images and layers of the specified image"),),
    examples=("pypod image tree alpine:latest",),
    min_args=1,
    max_args=1,
)
_MISSING = "<missing>"
_COMMAND_LIMIT = 45
_SECOND_NS = 1_000_000_000


class _Row(Struct):
    """A step; ``row["ID"]`` is a cell."""

    type_name = "images.historyReporter"

    def __init__(self, step: ImageStep, created_ns: int, now_ns: int, *, truncate: bool, human: bool) -> None:
        self.step = step
        self.created_ns = created_ns // _SECOND_NS * _SECOND_NS  # as in podman
        self.now_ns = now_ns
        self.truncate = truncate
        self.human = human

    def __missing__(self, key: str) -> Any:
        value = self[key] = _FIELDS[key](self)
        return value

    @property
    def id(self) -> str:
        """The id of the image that the step completes, as the listing shows it."""
        identifier = self.step.id or _MISSING
        return identifier[:SHORT_ID_LENGTH] if self.truncate and self.step.id else identifier


def _created(row: _Row) -> str:
    if not row.human:
        return rfc3339(row.created_ns)
    return human_ago((row.now_ns - row.created_ns) / _SECOND_NS)


def _created_by(row: _Row) -> str:
    text = row.step.created_by
    return f"{text[: _COMMAND_LIMIT - 3]}..." if row.truncate and len(text) > _COMMAND_LIMIT else text


def _size(row: _Row) -> str:
    if not row.human:
        return str(row.step.size_bytes)
    from pypod.cli.images.row import spaced_size

    return spaced_size(row.step.size_bytes)


_FIELDS: dict[str, Callable[[_Row], Any]] = {
    "Comment": lambda row: row.step.comment,
    "Created": _created,
    "CreatedAt": lambda row: go_time(row.created_ns),
    "CreatedBy": _created_by,
    "CreatedSince": lambda row: human_ago((row.now_ns - row.created_ns) / _SECOND_NS),
    "ID": lambda row: row.id,
    "Size": _size,
    "Tags": lambda _: [],
}


def run_history(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod history``."""
    from time import time_ns

    from pypod.api.engine import Engine
    from pypod.model.moment import created_ns

    with Engine(root) as engine:
        found = engine.images.get(options.positionals[0]).steps()
    now_ns = time_ns()
    rows = [
        _Row(one, created_ns(one.created), now_ns, truncate=not options["no-trunc"], human=options["human"])
        for one in found
    ]
    if options["quiet"]:
        sys.stdout.write("".join([f"{row.id}\n" for row in rows]))
    elif options["format"]:
        _write_format(options["format"], rows)
    else:
        _write_table(rows)
    return 0


def _write_format(text: str, rows: list[_Row]) -> None:
    from pypod.cli.render.output import header_map, is_json, write_format

    if is_json(text):
        from pypod.cli.go.json import encode

        sys.stdout.write(encode([_as_json(row) for row in rows], escape_html=True) + "\n")
        return
    write_format(text, rows, name="history", headers=header_map(_FIELDS), stream=sys.stdout)


def _write_table(rows: list[_Row]) -> None:
    from pypod.cli.render.output import Column, write_table
    from pypod.cli.render.smartcols import escaped

    # an image's own metadata reaches the terminal as printable characters only
    def seen(key: str) -> Callable[[_Row], str]:
        return lambda row: escaped(row[key]).replace("\n", "\\x0a")

    columns = [
        Column(key="ID", title="ID"),
        Column(key="Created", title="CREATED"),
        Column(key="CreatedBy", title="CREATED BY", getter=seen("CreatedBy")),
        Column(key="Size", title="SIZE"),
        Column(key="Comment", title="COMMENT", getter=seen("Comment")),
    ]
    write_table(rows, columns, stream=sys.stdout)


def _as_json(row: _Row) -> Struct:
    """Return a step as ``--format json`` shows it: ``created`` as written in the image, ``Created`` in seconds."""
    step = row.step
    found = Struct(id=step.id or _MISSING, created=step.created or None)
    if step.created_by:
        found["CreatedBy"] = step.created_by
    found["size"] = step.size_bytes
    if step.comment:
        found["comment"] = step.comment
    found["Created"] = rfc3339(row.created_ns)
    return found


def run_image_tree(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod image tree``."""
    from pypod.api.engine import Engine

    with Engine(root) as engine:
        image = engine.images.get(options.positionals[0])
        layers = image.layer_uses(above=options["whatrequires"])
        lines = [
            f"Image ID: {image.id[:SHORT_ID_LENGTH]}",
            f"Tags:     [{' '.join(image.names)}]",
            f"Size:     {human_size(image.size_bytes)}",
            "Image Layers" if layers else "No Image Layers",
        ]
    for number, layer in enumerate(layers, 1):
        mark = "└──" if number == len(layers) else "├──"
        identifier = layer.chain.partition(":")[2][:SHORT_ID_LENGTH]
        names = f" Top Layer of: [{' '.join(layer.names)}]" if layer.names else ""
        lines.append(f"{mark} ID: {identifier} Size: {human_size(layer.size_bytes):>7}{names}")
    sys.stdout.write("\n".join(lines) + "\n\n")
    return 0
