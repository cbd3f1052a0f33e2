"""volume ls."""

from __future__ import annotations

import sys

from pypod.cli.flags.parser import Command, Flag
from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.cli.flags.parser import Parsed
    from pypod.cli.go.values import Struct

VOLUME_LS = Command(
    path="pypod volume ls",
    summary="List volumes",
    description="List all available volumes. The output of the volumes can be filtered and the output format can be "
    "changed to JSON or a user specified Go template.",
    synopsis="[options]",
    flags=(
        Flag(name="filter", short="f", kind="strings", help="Filter volume output"),
        Flag(name="format", help="Format volume output using Go template"),
        Flag(name="noheading", kind="bool", help="Do not print headers"),
        Flag(name="quiet", short="q", kind="bool", help="Print volume output in quiet mode"),
    ),
    aliases=("list",),
    examples=("pypod volume ls", "pypod volume ls --format '{{.Name}} {{.Mountpoint}}'"),
    max_args=0,
)


def run_volume_ls(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod volume ls``."""
    from pypod.api.engine import Engine

    quiet, text = options["quiet"], options["format"]
    if quiet and options.changed("format"):
        raise InvalidSpec("--format", "quiet and format flags cannot be used together")
    with Engine(root) as engine:
        records = engine.volumes.records()
        if options["filter"]:
            from pypod.cli.volumes.filters import compile_volume_filters

            test = compile_volume_filters(options["filter"], engine)
            records = [one for one in records if test(one)]
        forms = [engine.volumes.get(one.name).inspect() for one in records] if text else []
    if quiet:
        sys.stdout.write("".join([f"{one.name}\n" for one in records]))
    elif text:
        _write_format(text, forms, noheading=options["noheading"])
    elif records:  # podman prints no header above nothing
        from pypod.cli.render.output import Column, write_table

        columns = (
            Column(key="Driver", title="DRIVER", getter=lambda one: one.driver),
            Column(key="Name", title="VOLUME NAME", getter=lambda one: one.name),
        )
        write_table(records, columns, stream=sys.stdout, noheading=options["noheading"])
    return 0


def _write_format(text: str, forms: list[dict[str, Any]], *, noheading: bool) -> None:
    from pypod.cli.render.output import header_map, is_json, write_format
    from pypod.cli.system.inspect_form import as_json, for_template, text_of_json

    if is_json(text):
        from pypod.cli.go.json import encode

        sys.stdout.write(encode([as_json(form) for form in forms], indent="  ", escape_html=True) + "\n")
        return
    rows: list[Struct] = [for_template(form) for form in forms]
    for row in rows:
        row.type_name = "*entities.VolumeListReport"
    fields = tuple(rows[0]) if rows else ("Name", "Driver")
    write_format(
        text,
        rows,
        name="ls",
        headers=header_map(fields, {"Name": "volume name"}),
        stream=sys.stdout,
        noheading=noheading,
        functions={"json": text_of_json},
    )
