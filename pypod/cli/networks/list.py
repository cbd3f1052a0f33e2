"""network ls."""

from __future__ import annotations

import sys

from pypod.cli.flags.parser import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.cli.flags.parser import Parsed
    from pypod.cli.go.values import Struct
    from pypod.model.network import NetworkSpec

NETWORK_LS = Command(
    path="pypod network ls",
    summary="List networks",
    description="Displays a list of networks.",
    synopsis="[options]",
    flags=(
        Flag(name="filter", short="f", kind="stringArray", help="Provide filter values (e.g. 'name=podman')"),
        Flag(name="format", help="Pretty-print networks to JSON or using a Go template"),
        Flag(name="no-trunc", kind="bool", help="Do not truncate the network ID"),
        Flag(name="noheading", kind="bool", help="Do not print headers"),
        Flag(name="quiet", short="q", kind="bool", help="Display only names"),
    ),
    aliases=("list",),
    examples=("pypod network ls", "pypod network ls --format '{{.Name}}: {{range .Subnets}}{{.Subnet}} {{end}}'"),
    max_args=0,
)
_SHORT = 12


def run_network_ls(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod network ls``."""
    from pypod.api.engine import Engine
    from pypod.cli.networks.filters import compile_network_filters

    with Engine(root) as engine:
        test = compile_network_filters(options["filter"], engine)
        specs = [spec for spec in engine.networks.specs() if test(spec)]
        forms = [engine.networks.get(spec.id).inspect() for spec in specs] if options["format"] else []
    if options["quiet"]:
        sys.stdout.write("".join([f"{spec.name}\n" for spec in specs]))
    elif options["format"]:
        _write_format(options, specs, forms)
    else:
        from pypod.cli.render.output import Column, write_table

        columns = (
            Column(key="ID", title="NETWORK ID", getter=lambda spec: _identifier(options, spec)),
            Column(key="Name", title="NAME", getter=lambda spec: spec.name),
            Column(key="Driver", title="DRIVER", getter=lambda spec: spec.driver),
        )
        write_table(specs, columns, stream=sys.stdout, noheading=options["noheading"])
    return 0


def _identifier(options: Parsed, spec: NetworkSpec) -> str:
    return spec.id if options["no-trunc"] else spec.id[:_SHORT]


def _write_format(options: Parsed, specs: list[NetworkSpec], forms: list[dict[str, Any]]) -> None:
    from pypod.cli.render.output import header_map, is_json, write_format
    from pypod.cli.system.inspect_form import as_json, network_struct, text_of_json

    for form in forms:
        del form["containers"]  # only inspect shows them
    text = options["format"]
    if is_json(text):
        from pypod.cli.go.json import encode

        shown = [as_json(form) for form in forms]
        sys.stdout.write(encode(shown, indent="  ", escape_html=True) + "\n")
        return
    rows: list[Struct] = []
    for spec, form in zip(specs, forms, strict=True):
        row = network_struct(form)
        row.type_name = "network.ListPrintReports"
        row["ID"] = _identifier(options, spec)
        row["Labels"] = ",".join([f"{name}={value}" for name, value in spec.labels])
        rows.append(row)
    fields = (*rows[0], "Routes", "NetworkDNSServers") if rows else ("ID", "Name", "Driver")
    headers = header_map(fields, {"Name": "name", "ID": "network id"})
    write_format(
        text,
        rows,
        name="ls",
        headers=headers,
        stream=sys.stdout,
        noheading=options["noheading"],
        functions={"json": text_of_json},
    )
