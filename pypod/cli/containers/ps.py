"""ps: list containers, one per line."""

from __future__ import annotations

import sys

from pypod.cli.containers.ps_row import COLUMNS, NS_COLUMNS, POD_COLUMNS, SIZE_COLUMN, Listing, Row
from pypod.cli.flags.objects import LATEST
from pypod.cli.flags.parser import Command, Flag, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pypod.api.engine import Engine
    from pypod.cli.flags.parser import Parsed

_SORT_KEYS: dict[str, Callable[[Row], str | int]] = {
    "command": lambda row: row.container.command,
    "created": lambda row: row.container.created_ns,
    "id": lambda row: row.container.id,
    "image": lambda row: row["Image"],
    "names": lambda row: row.container.name,
    "runningfor": lambda row: row.container.state.started_ns,
    "size": lambda row: row.container.written_bytes,
    "status": lambda row: row.container.state.status,
}
PS = Command(
    path="pypod ps",
    summary="List containers",
    description="Prints out information about the containers",
    synopsis="[options]",
    flags=(
        Flag(name="all", short="a", kind="bool", help="Show all the containers, default is only running containers"),
        Flag(
            name="external",
            aliases=("storage",),
            kind="bool",
            help="Accepted for compatibility with podman; has no effect",
        ),
        Flag(name="filter", short="f", kind="strings", help="Filter output based on conditions given"),
        Flag(name="format", help="Pretty-print containers to JSON or using a Go template"),
        Flag(name="last", short="n", kind="int", default=-1, help="Print the n last created containers (all states)"),
        LATEST,
        Flag(name="no-trunc", aliases=("notruncate",), kind="bool", help="Display the extended information"),
        Flag(name="noheading", kind="bool", help="Do not print headers"),
        Flag(name="ns", kind="bool", help="Display namespace information", aliases=("namespace",)),
        Flag(name="pod", short="p", kind="bool", help="Print the ID and name of the pod the containers belong to"),
        Flag(name="quiet", short="q", kind="bool", help="Print the numeric IDs of the containers only"),
        Flag(name="size", short="s", kind="bool", help="Display the total file sizes"),
        Flag(
            name="sort",
            metavar="choice",
            choices=tuple(_SORT_KEYS),
            help=f"Sort output by: {', '.join(_SORT_KEYS)}",
        ),
        Flag(name="sync", kind="bool", help="Accepted for compatibility with podman; has no effect"),
        Flag(name="watch", short="w", kind="uint", help="Watch the ps output on an interval in seconds"),
    ),
    examples=(
        "pypod ps -a",
        'pypod ps -a --format "{{.ID}}  {{.Image}}  {{.Labels}}  {{.Mounts}}"',
        "pypod ps --size --sort names",
    ),
    max_args=0,
)
_CLEAR_SCREEN = "\x1b[2J\x1b[1;1H"


def run_ps(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod ps``."""
    from pypod.api.engine import Engine

    _check(options)
    with Engine(root) as engine:
        _write(options, engine)
        while options["watch"]:
            from time import sleep

            from pypod.cli.render.plain_text import control

            sys.stdout.flush()
            sleep(options["watch"])
            control(sys.stdout, _CLEAR_SCREEN)
            _write(options, engine)
    return 0


def _check(options: Parsed) -> None:
    """Raise UsageError for flags that exclude each other."""
    if options["last"] >= 0 and options["latest"]:
        raise UsageError("", "last and latest are mutually exclusive")
    if options["watch"] and options["latest"]:
        raise UsageError("", "the watch and latest flags cannot be used together")
    if options["quiet"] and (options["size"] or options["ns"]):
        raise UsageError("", "quiet conflicts with size and namespace")
    if options["size"] and options["ns"]:
        raise UsageError("", "size and namespace options conflict")


def _write(options: Parsed, engine: Engine) -> None:
    rows = _rows(options, engine)
    text = options["format"]
    stream = sys.stdout
    if text:
        _write_format(options, text, rows)
    elif options["quiet"]:
        stream.write("".join([f"{row['ID']}\n" for row in rows]))
    else:
        from pypod.cli.render.output import write_table

        columns = NS_COLUMNS if options["ns"] else COLUMNS
        columns += POD_COLUMNS if options["pod"] and not options["ns"] else ()
        columns += SIZE_COLUMN if options["size"] else ()
        write_table(rows, columns, stream=stream, noheading=options["noheading"])


def _write_format(options: Parsed, text: str, rows: list[Row]) -> None:
    from pypod.cli.render.output import header_map, is_json, write_format

    if is_json(text):
        from pypod.cli.containers.ps_row import as_json
        from pypod.cli.go.json import encode

        listed = [as_json(row, namespaces=options["ns"], pods=options["pod"]) for row in rows]
        sys.stdout.write(encode(listed, indent="  ", escape_html=True) + "\n")
        return
    from pypod.cli.containers.ps_row import FIELDS, TITLES
    from pypod.cli.go.json import json_text

    write_format(
        text,
        rows,
        name="ps",
        headers=header_map(FIELDS, TITLES),
        stream=sys.stdout,
        noheading=options["noheading"],
        functions={"json": json_text},
    )


def _rows(options: Parsed, engine: Engine) -> list[Row]:
    from time import time_ns

    listing = Listing(time_ns(), truncate=not options["no-trunc"], size=options["size"])
    last = 1 if options["latest"] else options["last"]
    every = options["all"] or last > 0
    found = engine.containers.summaries()
    if options["filter"]:
        from pypod.cli.flags.container_filters import compile_container_filters, read_filters

        filters = read_filters(options["filter"])
        # a status filter implies --all (podman: pkg/ps/ps.go)
        every = every or "status" in filters
        test = compile_container_filters(filters, engine)
        found = [one for one in found if (every or one.state.status == "running") and test(one)]
    rows = [Row(one, listing) for one in found if every or one.state.status == "running"]
    if last > 0:
        rows = rows[-last:]
    if options["sort"]:
        rows.sort(key=_SORT_KEYS[options["sort"]])
    return rows
