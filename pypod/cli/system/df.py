"""system df: what images, containers and volumes take of the disk."""

from __future__ import annotations

import sys

from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.cli.go.values import Struct
from pypod.cli.render.output import Column, align, header_map, human_duration, human_size, write_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.cli.flags.parser import Parsed
    from pypod.model.reports.disk_usage import ContainerUsage, DiskUsage, ImageUsage, VolumeUsage

SYSTEM_DF = Command(
    path="pypod system df",
    summary="Show pypod disk usage",
    description="Show pypod disk usage",
    synopsis="[options]",
    flags=(
        Flag(name="format", help="Pretty-print images using a Go template"),
        Flag(name="verbose", short="v", kind="bool", help="Show detailed information on disk usage"),
    ),
    examples=("pypod system df", "pypod system df --verbose", 'pypod system df --format "{{.Type}} {{.Size}}"'),
    max_args=0,
)
_NONE = "<none>"
_SHORT = 12
_KEYS = ("Type", "Total", "Active", "Size", "Reclaimable")


class Summary(Struct):
    """A line of the summary, with podman's fields."""

    type_name = "*system.dfSummary"

    def __init__(self, kind: str, total: int, active: int, size_bytes: int, reclaimable_bytes: int) -> None:
        percent = round(100 * reclaimable_bytes / size_bytes) if size_bytes else 0
        super().__init__(
            Type=kind,
            Total=total,
            Active=active,
            RawSize=size_bytes,
            RawReclaimable=reclaimable_bytes,
            TotalCount=total,
            Size=human_size(size_bytes),
            Reclaimable=f"{human_size(reclaimable_bytes)} ({percent}%)",
        )


def run_system_df(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod system df``."""
    from pypod.api.engine import Engine

    if options["verbose"] and options["format"]:
        raise UsageError("", "cannot combine --format and --verbose flags")
    with Engine(root) as engine:
        usage = engine.disk_usage()
    if options["verbose"]:
        sys.stdout.write(_details(usage))
    else:
        _write_summary(options["format"], _summary(usage))
    return 0


def _summary(usage: DiskUsage) -> list[Summary]:
    images, containers, volumes = usage.images, usage.containers, usage.volumes
    idle = [one.size_bytes for one in containers if not one.active]
    unlinked = [one.size_bytes for one in volumes if not one.links]
    return [
        Summary(
            "Images",
            len(images),
            sum(one.containers > 0 for one in images),
            usage.image_bytes,
            usage.unused_image_bytes,
        ),
        Summary(
            "Containers",
            len(containers),
            len(containers) - len(idle),
            sum(one.size_bytes for one in containers),
            sum(idle),
        ),
        Summary(
            "Local Volumes",
            len(volumes),
            len(volumes) - len(unlinked),
            sum(one.size_bytes for one in volumes),
            sum(unlinked),
        ),
    ]


def _write_summary(form: str, rows: Sequence[Summary]) -> None:
    from pypod.cli.render.output import is_json, write_format

    headers = header_map(rows[0])
    if not form:
        write_table(rows, [Column(key=key, title=headers[key]) for key in _KEYS], stream=sys.stdout)
    elif is_json(form):
        from pypod.cli.go.json import encode

        sys.stdout.write(encode(list(rows), indent="    ", escape_html=True) + "\n")
    else:
        write_format(form, rows, name="df", headers=headers, stream=sys.stdout)


def _details(usage: DiskUsage) -> str:
    from time import time_ns

    now_ns = time_ns()
    images = (
        "REPOSITORY\tTAG\tIMAGE ID\tCREATED\tSIZE\tSHARED SIZE\tUNIQUE SIZE\tCONTAINERS",
        *[line for one in usage.images for line in _image_lines(one, now_ns)],
    )
    containers = (
        "CONTAINER ID\tIMAGE\tCOMMAND\tLOCAL VOLUMES\tSIZE\tCREATED\tSTATUS\tNAMES",
        *[_container_line(one, now_ns) for one in usage.containers],
    )
    volumes = ("VOLUME NAME\tLINKS\tSIZE", *[_volume_line(one) for one in usage.volumes])
    parts = (("Images", images), ("Containers", containers), ("Local Volumes", volumes))
    return "\n".join([f"{title} space usage:\n\n{align(_text(lines))}" for title, lines in parts])


def _text(lines: Sequence[str]) -> str:
    return "\n".join([*lines, ""])


def _ago(created_ns: int, now_ns: int) -> str:
    return human_duration((now_ns - created_ns) / 1_000_000_000)


def _image_lines(one: ImageUsage, now_ns: int) -> list[str]:
    cells = (
        one.id[:_SHORT],
        _ago(one.created_ns, now_ns),
        human_size(one.size_bytes),
        human_size(one.shared_bytes),
        human_size(one.unique_bytes),
        str(one.containers),
    )
    lines = []
    for name in one.names or ("",):
        repository, at, _ = name.partition("@")
        repository, tag = (repository, _NONE) if at else name.rpartition(":")[::2]
        lines.append("\t".join((repository or _NONE, tag or _NONE, *cells)))
    return lines


def _container_line(one: ContainerUsage, now_ns: int) -> str:
    from pypod.cli.render.plain_text import escaped

    return "\t".join(
        (
            one.id[:_SHORT],
            one.image_id[:_SHORT],
            escaped(one.command),
            str(one.volumes),
            human_size(one.size_bytes),
            _ago(one.created_ns, now_ns),
            one.status,
            one.name,
        )
    )


def _volume_line(one: VolumeUsage) -> str:
    return "\t".join((one.name, str(one.links), human_size(one.size_bytes)))
