"""images: list the images in the store, one name per line."""

from __future__ import annotations

import sys

from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.cli.images.row import ImageListing, columns, rows_of
from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pypod.api.engine import Engine
    from pypod.api.images.summary import ImageSummary
    from pypod.cli.flags.parser import Parsed
    from pypod.cli.images.row import ImageRow

_SORT_KEYS: dict[str, Callable[[ImageRow], Any]] = {
    "created": lambda row: -row.image.created_ns,
    "id": lambda row: row.image.id,
    "repository": lambda row: row["Repository"],
    "size": lambda row: row.image.size_bytes,
    "tag": lambda row: row["Tag"],
}
IMAGES = Command(
    path="pypod images",
    summary="List images in local storage",
    description="Lists images previously pulled to the system or created on the system.",
    synopsis="[options] [IMAGE]",
    flags=(
        Flag(name="all", short="a", kind="bool", help="Show all images (default hides intermediate images)"),
        Flag(name="digests", kind="bool", help="Show digests"),
        Flag(name="filter", short="f", kind="strings", help="Filter output based on conditions provided"),
        Flag(name="format", help="Change the output format to JSON or a Go template"),
        Flag(name="history", kind="bool", help="Display the image name history"),
        Flag(name="no-trunc", kind="bool", help="Do not truncate output"),
        Flag(name="noheading", short="n", kind="bool", help="Do not print column headings"),
        Flag(name="quiet", short="q", kind="bool", help="Display only image IDs"),
        Flag(name="sort", default="created", help=f"Sort by {', '.join(_SORT_KEYS)}"),
    ),
    examples=(
        "pypod images --format json",
        'pypod images --sort repository --format "table {{.ID}} {{.Repository}} {{.Tag}}"',
        "pypod images --filter dangling=true",
    ),
    max_args=1,
)


def run_images(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod images``."""
    from time import time_ns

    from pypod.api.engine import Engine

    if options.positionals and options["filter"]:
        raise UsageError("", "cannot specify an image and a filter(s)")
    if options["sort"] not in _SORT_KEYS:
        raise InvalidSpec(
            "--sort", f'"{options["sort"]}" is not a valid field for sorting. Choose from: {", ".join(_SORT_KEYS)}'
        )
    with Engine(root) as engine:
        listing = ImageListing(time_ns(), truncate=not options["no-trunc"])
        _write(options, _chosen(options, engine), listing)
    return 0


def _chosen(options: Parsed, engine: Engine) -> list[ImageSummary]:
    found = list(engine.images.summaries())
    if not options["all"]:
        found = [one for one in found if one.names or not one.is_intermediate]
    if options.positionals:
        from pypod.cli.images.filters import refers_to

        test = refers_to(options.positionals[0])
        return [one for one in found if test(one)]
    if options["filter"]:
        from pypod.cli.images.filters import compile_image_filters

        hidden = () if options["all"] else ("intermediate=false",)
        test = compile_image_filters((*options["filter"], *hidden), engine)
        return [one for one in found if test(one)]
    return found


def _write(options: Parsed, found: list[ImageSummary], listing: ImageListing) -> None:
    from pypod.cli.render.output import is_json

    rows = sorted(rows_of(found, listing), key=_SORT_KEYS[options["sort"]])
    if is_json(options["format"]) and not options["quiet"]:
        from pypod.cli.go.json import encode
        from pypod.cli.images.row import as_json

        listed = [as_json(row.image) for row in rows]
        sys.stdout.write(encode(listed, indent="    ", escape_html=True) + "\n")
        return
    if options["quiet"]:
        # each image once, however many names it has
        sys.stdout.write("".join([f"{one}\n" for one in dict.fromkeys(row["ID"] for row in rows)]))
    elif options["format"]:
        from pypod.cli.images.row import FIELDS, TITLES
        from pypod.cli.render.output import header_map, write_format

        write_format(
            options["format"],
            rows,
            name="images",
            headers=header_map(FIELDS, TITLES),
            stream=sys.stdout,
            noheading=options["noheading"],
        )
    else:
        from pypod.cli.render.output import write_table

        shown = columns(digests=options["digests"], history=options["history"])
        write_table(rows, shown, stream=sys.stdout, noheading=options["noheading"])
