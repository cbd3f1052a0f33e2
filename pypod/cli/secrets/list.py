"""secret ls."""

from __future__ import annotations

import sys
import time

from pypod.cli.flags.filters import FORM, matcher, split
from pypod.cli.flags.parser import Command, Flag
from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pypod.cli.flags.parser import Parsed
    from pypod.cli.go.values import Struct
    from pypod.model.secret import SecretSpec

SECRET_LS = Command(
    path="pypod secret ls",
    summary="List secrets",
    description="Lists all secrets. Their content is shown by none of the formats.",
    synopsis="[options]",
    flags=(
        Flag(name="filter", short="f", kind="strings", help="Filter secret output"),
        Flag(name="format", help="Format secret output using Go template"),
        Flag(name="noheading", kind="bool", help="Do not print headers"),
        Flag(name="quiet", short="q", kind="bool", help="Print secret IDs only"),
    ),
    aliases=("list",),
    examples=("pypod secret ls", "pypod secret ls --filter name=confidential"),
    max_args=0,
)
_TITLES = {"CreatedAt": "created", "UpdatedAt": "updated"}


def run_secret_ls(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod secret ls``."""
    from pypod.api.engine import Engine
    from pypod.cli.render.output import Column, header_map, write_format, write_table

    test = _test(options["filter"])
    with Engine(root) as engine:
        specs = [spec for spec in engine.secrets.specs() if test(spec)]
    if options["quiet"]:
        sys.stdout.write("".join([f"{spec.id}\n" for spec in specs]))
        return 0
    now_ns = time.time_ns()
    rows = [_row(spec, now_ns) for spec in specs]
    headers = header_map(("ID", "Name", "Driver", "CreatedAt", "UpdatedAt"), _TITLES)
    if options["format"]:
        from pypod.cli.go.json import json_text

        write_format(
            options["format"],
            rows,
            name="ls",
            headers=headers,
            stream=sys.stdout,
            noheading=options["noheading"],
            functions={"json": json_text},
        )
        return 0
    columns = [Column(key=key, title=title) for key, title in headers.items()]
    write_table(rows, columns, stream=sys.stdout, noheading=options["noheading"])
    return 0


def _row(spec: SecretSpec, now_ns: int) -> Struct:
    from pypod.cli.go.values import Struct
    from pypod.cli.render.output import human_ago

    row = Struct(
        ID=spec.id,
        Name=spec.name,
        Driver=spec.driver,
        CreatedAt=human_ago((now_ns - spec.created_ns) / 1e9),
        UpdatedAt=human_ago((now_ns - spec.updated_ns) / 1e9),
    )
    row.type_name = "*entities.SecretListReport"
    return row


def _test(words: Sequence[str]) -> Callable[[SecretSpec], bool]:
    values = split(words, message=FORM)
    for name in values:
        if name not in ("name", "id"):
            raise InvalidSpec("--filter", f'invalid filter "{name}"')
    names, ids = matcher(values.get("name", ())), matcher(values.get("id", ()))
    return lambda spec: ("name" not in values or names(spec.name)) and ("id" not in values or ids(spec.id))
