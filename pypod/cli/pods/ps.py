"""pod ps: the pods, one a line."""

from __future__ import annotations

import sys

from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.cli.flags.selection import LATEST
from pypod.cli.go.values import Struct
from pypod.cli.render.output import Column, human_ago
from pypod.model.moment import rfc3339
from pypod.store.records import INFRA

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from pypod.api.engine import Engine
    from pypod.cli.flags.parser import Parsed
    from pypod.model.container import ContainerState
    from pypod.model.pod import PodSpec
    from pypod.store.records import ContainerRecord, PodRecord

    Members = list[tuple[ContainerRecord, ContainerState]]

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
        Flag(name="no-trunc", kind="bool", help="Do not truncate pod and container IDs"),
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
    """A pod; ``row["Id"]`` is a cell, under podman's placeholders (podman-pod-ps(1))."""

    type_name = "pods.ListPodReporter"

    def __init__(self, record: PodRecord, members: Members, engine: Engine, now_ns: int, *, truncate: bool) -> None:
        self.record = record
        self.members = members
        self.engine = engine
        self.now_ns = now_ns
        self.truncate = truncate

    def __missing__(self, key: str) -> Any:
        value = self[key] = _FIELDS[key](self)
        return value

    @property
    def spec(self) -> PodSpec:
        """What was asked."""
        from pypod.store.stored_specs import pod_spec

        return pod_spec(self.record)

    @property
    def networks(self) -> list[str]:
        """The names of the networks that it is connected to."""
        from pypod.store.networks import names_of_container

        return names_of_container(self.engine.database, self.record.infra_id) if self.record.infra_id else []

    @property
    def status(self) -> str:
        """The pod's status."""
        from pypod.model.pod import pod_status

        infra = next((state for one, state in self.members if one.kind == INFRA), None)
        return pod_status(infra, [state for one, state in self.members if one.kind != INFRA])

    @property
    def cgroup_parent(self) -> str:
        """The group that the pod's own is in."""
        from pypod.kernel.cgroups.driver import container_path

        return container_path(self.spec.cgroup_parent, "", self.record.id).rpartition("/")[0]

    def identifier(self, text: str) -> str:
        """Return an id as it is to be shown."""
        return text[:_SHORT] if self.truncate else text


def _containers(row: PodRow) -> list[Struct]:
    return [Struct(Id=one.id, Names=one.name, Status=state.status) for one, state in row.members]


def _each(of: Callable[[PodRow, ContainerRecord, ContainerState], str]) -> Callable[[PodRow], str]:
    return lambda row: ",".join([of(row, one, state) for one, state in row.members])


_FIELDS: dict[str, Callable[[PodRow], Any]] = {
    "Cgroup": lambda row: row.cgroup_parent,
    "ContainerIds": _each(lambda row, one, _: row.identifier(one.id)),
    "ContainerNames": _each(lambda _, one, __: one.name),
    "ContainerStatuses": _each(lambda _, __, state: state.status),
    "Containers": _containers,
    "Created": lambda row: human_ago((row.now_ns - row.record.created_ns) / 1_000_000_000),
    "ID": lambda row: row["Id"],
    "Id": lambda row: row.identifier(row.record.id),
    "InfraID": lambda row: row["InfraId"],
    "InfraId": lambda row: row.identifier(row.record.infra_id),
    "Labels": lambda row: dict(row.spec.labels),
    "Name": lambda row: row.record.name,
    "Namespace": lambda _: "",  # libpod's, which nobody has
    "Networks": lambda row: ",".join(row.networks),
    "NumberOfContainers": lambda row: len(row.members),
    "SharedNamespaces": lambda row: ",".join(row.spec.share if row.record.infra_id else ()),
    "Status": lambda row: row.status,
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
    "created": lambda row: -row.record.created_ns,  # the latest first, as podman
    "id": lambda row: row.record.id,
    "name": lambda row: row.record.name,
    "number": lambda row: len(row.members),
    "status": lambda row: row.status,
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
        elif options["quiet"]:  # never truncated, as podman 4.3.1
            sys.stdout.write("".join([f"{row.record.id}\n" for row in rows]))
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
    headers = header_map(_FIELDS, _TITLES)
    write_format(text, rows, name="ps", headers=headers, stream=sys.stdout, noheading=options["noheading"])


def _as_json(row: PodRow) -> Struct:
    return Struct(
        Cgroup=row.cgroup_parent,
        Containers=row["Containers"],
        Created=rfc3339(row.record.created_ns),
        Id=row.record.id,
        InfraId=row.record.infra_id,
        Name=row.record.name,
        Namespace="",
        Networks=row.networks,
        Status=row.status,
        Labels=row["Labels"],
    )


def _rows(options: Parsed, engine: Engine) -> list[PodRow]:
    from time import time_ns

    from pypod.engine.containers.listing import listed_containers, listed_pods

    pods = listed_pods(engine)
    members: dict[str, Members] = {}
    for one, state in listed_containers(engine):
        if one.pod_id:
            members.setdefault(one.pod_id, []).append((one, state))
    now_ns, truncate = time_ns(), not options["no-trunc"]
    rows = [
        PodRow(record, members.get(record.id, []), engine, now_ns, truncate=truncate)
        for record in pods
        if not record.infra_id or record.id in members  # else it was removed a moment ago
    ]
    if options["latest"]:
        rows = rows[-1:]
    if options["filter"]:
        from pypod.cli.pods.filters import compile_pod_filters

        test = compile_pod_filters(options["filter"], engine)
        rows = [row for row in rows if test(row)]
    rows.sort(key=_SORT_KEYS[options["sort"]])
    return rows
