"""pod ps: list pods, one per line."""

from __future__ import annotations

import sys

from pypod.cli.flags.objects import LATEST
from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.cli.go.values import Struct
from pypod.cli.render.output import Column, human_ago
from pypod.model.moment import rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from pypod.api.engine import Engine
    from pypod.api.summaries import ContainerSummary, PodSummary
    from pypod.cli.flags.parser import Parsed

POD_PS = Command(
    path="pypod pod ps",
    summary="List pods",
    description="List all pods on system including their names, ids and current state.",
    synopsis="[options]",
    flags=(
        Flag(name="ctr-ids", kind="bool", help="Display the container UUIDs, truncated if no-trunc is not set"),
        Flag(name="ctr-names", kind="bool", help="Display the container names"),
        Flag(name="ctr-status", kind="bool", help="Display the container status"),
        Flag(name="filter", short="f", kind="strings", help="Filter output based on conditions given"),
        Flag(name="format", help="Pretty-print pods to JSON or using a Go template"),
        LATEST,
        Flag(name="no-trunc", aliases=("notruncate",), kind="bool", help="Do not truncate pod and container IDs"),
        Flag(name="noheading", kind="bool", help="Do not print headers"),
        Flag(name="ns", kind="bool", help="Display namespace information of the pod", aliases=("namespace",)),
        Flag(name="quiet", short="q", kind="bool", help="Print the numeric IDs of the pods only"),
        Flag(name="sort", default="created", help="Sort output by created, id, name, status, or number"),
    ),
    aliases=("ls", "list"),
    examples=("pypod pod ps", "pypod pod ps --ctr-names --format json"),
    max_args=0,
)
_SHORT = 12


class PodRow(Struct):
    """A pod; ``row["Id"]`` is a cell, named by podman's placeholders (podman-pod-ps(1))."""

    type_name = "pods.ListPodReporter"

    def __init__(self, pod: PodSummary, now_ns: int, *, truncate: bool) -> None:
        self.pod = pod
        self.now_ns = now_ns
        self.truncate = truncate

    def __missing__(self, key: str) -> Any:
        value = self[key] = FIELDS[key](self)
        return value

    def identifier(self, text: str) -> str:
        """Return an id as the listing shows it."""
        return text[:_SHORT] if self.truncate else text


def _containers(row: PodRow) -> list[Struct]:
    return [Struct(Id=one.id, Names=one.name, Status=one.state.status) for one in row.pod.members]


def _each(of: Callable[[PodRow, ContainerSummary], str]) -> Callable[[PodRow], str]:
    return lambda row: ",".join([of(row, one) for one in row.pod.members])


FIELDS: dict[str, Callable[[PodRow], Any]] = {
    "Cgroup": lambda row: row.pod.cgroup_parent,
    "ContainerIds": _each(lambda row, one: row.identifier(one.id)),
    "ContainerNames": _each(lambda _, one: one.name),
    "ContainerStatuses": _each(lambda _, one: one.state.status),
    "Containers": _containers,
    "Created": lambda row: human_ago((row.now_ns - row.pod.created_ns) / 1_000_000_000),
    "ID": lambda row: row["Id"],
    "Id": lambda row: row.identifier(row.pod.id),
    "InfraID": lambda row: row["InfraId"],
    "InfraId": lambda row: row.identifier(row.pod.infra_id),
    "Labels": lambda row: dict(row.pod.spec.labels),
    "Name": lambda row: row.pod.name,
    "Namespace": lambda _: "",  # libpod's namespace, which is never set
    "Networks": lambda row: ",".join(row.pod.networks),
    "NumberOfContainers": lambda row: len(row.pod.members),
    "SharedNamespaces": lambda row: ",".join(row.pod.spec.share if row.pod.infra_id else ()),
    "Status": lambda row: row.pod.status,
}
_TITLES = {
    "ContainerIds": "ids",
    "ContainerNames": "names",
    "ContainerStatuses": "status",
    "ID": "pod id",
    "Id": "pod id",
    "InfraId": "infra id",
    "Namespace": "namespaces",
    "NumberOfContainers": "# of containers",
    "SharedNamespaces": "namespaces",
}
_SORT_KEYS: dict[str, Callable[[PodRow], Any]] = {
    "created": lambda row: -row.pod.created_ns,  # the latest first, as in podman
    "id": lambda row: row.pod.id,
    "name": lambda row: row.pod.name,
    "number": lambda row: len(row.pod.members),
    "status": lambda row: row.pod.status,
}


def run_pod_ps(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod pod ps``."""
    from pypod.api.engine import Engine

    if options["sort"] not in _SORT_KEYS:
        raise UsageError("", "invalid option for --sort, options are: id, names, or number")
    if options["quiet"] and options["format"]:
        raise UsageError("", "quiet and format cannot be used together")
    with Engine(root) as engine:
        rows = _rows(options, engine)
        if options["format"]:
            _write_format(options, rows)
        elif options["quiet"]:  # never truncated, as in podman 4.3.1
            sys.stdout.write("".join([f"{row.pod.id}\n" for row in rows]))
        else:
            from pypod.cli.render.output import write_table

            write_table(rows, _columns(options), stream=sys.stdout, noheading=options["noheading"])
    return 0


def _columns(options: Parsed) -> list[Column]:
    keys = ["Id", "Name", "Status", "Created", "InfraId"]
    about_containers = [
        key
        for flag, key in (
            ("ctr-ids", "ContainerIds"),
            ("ctr-names", "ContainerNames"),
            ("ctr-status", "ContainerStatuses"),
        )
        if options[flag]
    ]
    keys += about_containers
    keys += ["Cgroup", "SharedNamespaces"] if options["ns"] else []
    keys += [] if about_containers else ["NumberOfContainers"]
    return [Column(key=key, title=_TITLES.get(key, key).upper()) for key in keys]


def _write_format(options: Parsed, rows: Sequence[PodRow]) -> None:
    from pypod.cli.render.output import header_map, is_json, write_format

    text = options["format"]
    if is_json(text):
        from pypod.cli.go.json import encode

        sys.stdout.write(encode([_as_json(row) for row in rows], indent="  ", escape_html=True) + "\n")
        return
    headers = header_map(FIELDS, _TITLES)
    write_format(text, rows, name="ps", headers=headers, stream=sys.stdout, noheading=options["noheading"])


def _as_json(row: PodRow) -> Struct:
    return Struct(
        Cgroup=row.pod.cgroup_parent,
        Containers=row["Containers"],
        Created=rfc3339(row.pod.created_ns),
        Id=row.pod.id,
        InfraId=row.pod.infra_id,
        Name=row.pod.name,
        Namespace="",
        Networks=list(row.pod.networks),
        Status=row.pod.status,
        Labels=row["Labels"],
    )


def _rows(options: Parsed, engine: Engine) -> list[PodRow]:
    from time import time_ns

    found = engine.pods.summaries()
    if options["latest"]:
        from pypod.cli.flags.selection import latest_pod

        newest = latest_pod(engine).id
        found = [one for one in found if one.id == newest]
    if options["filter"]:
        from pypod.cli.pods.filters import compile_pod_filters

        test = compile_pod_filters(options["filter"], engine)
        found = [one for one in found if test(one)]
    now_ns, truncate = time_ns(), not options["no-trunc"]
    rows = [PodRow(one, now_ns, truncate=truncate) for one in found]
    rows.sort(key=_SORT_KEYS[options["sort"]])
    return rows
