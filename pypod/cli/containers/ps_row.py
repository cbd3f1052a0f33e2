"""One container as a row of ``ps``, with cells that are computed on demand.

The names are podman's placeholders (podman-ps(1)).
"""

from __future__ import annotations

from pypod.cli.go.values import Struct, go_time
from pypod.cli.render.output import Column, exit_code, human_ago, human_size, image_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pypod.api.summaries import ContainerSummary
    from pypod.model.port import Port

__all__ = [
    "COLUMNS",
    "FIELDS",
    "NS_COLUMNS",
    "POD_COLUMNS",
    "SIZE_COLUMN",
    "TITLES",
    "Listing",
    "Row",
    "as_json",
    "exit_code",
    "image_name",
]

_SECOND_NS = 1_000_000_000
_NEVER_S = -62135596800  # Go's zero time
_COMMAND_LIMIT = 17
_SHORT = 12


class Listing:
    """How to show the rows of one listing: its time and the options of the user."""

    __slots__ = ("now_ns", "size", "truncate")

    def __init__(self, now_ns: int, *, truncate: bool = True, size: bool = False) -> None:
        self.now_ns = now_ns
        self.truncate = truncate
        self.size = size

    def ago(self, moment_ns: int) -> str:
        """Return the time since a moment, in words."""
        return human_ago((self.now_ns - moment_ns) / _SECOND_NS)


class Row(Struct):
    """A container; ``row["ID"]`` is a cell."""

    type_name = "containers.psReporter"

    def __init__(self, container: ContainerSummary, listing: Listing) -> None:
        self.container = container
        self.listing = listing

    def __missing__(self, key: str) -> Any:
        value = self[key] = FIELDS[key](self)
        return value

    def identifier(self, text: str) -> str:
        """Return an id as the listing shows it."""
        return text[:_SHORT] if self.listing.truncate else text


def _command(row: Row) -> str:
    text = row.container.command
    return f"{text[:_COMMAND_LIMIT]}..." if row.listing.truncate and len(text) > _COMMAND_LIMIT else text


def _health(row: Row) -> str:
    """Return the health of a running container in parentheses, or "" without a health check."""
    found = row.container.health
    return f" ({found})" if found else ""


def _status(row: Row) -> str:
    state = row.container.state
    # podman counts from the start of the second
    if state.status == "running":
        return f"Up {row.listing.ago(state.started_ns // _SECOND_NS * _SECOND_NS)}{_health(row)}"
    if state.status != "exited":
        return state.status.capitalize()
    if not state.exit_code_known:
        return "Exited (unknown)"
    return f"Exited ({state.exit_code}) {row.listing.ago(state.finished_ns // _SECOND_NS * _SECOND_NS)}"


def _size(row: Row) -> str:
    if not row.listing.size:
        import sys

        print("Size format requires --size option", file=sys.stderr)
        return ""
    written, image = row.container.written_bytes, row.container.image_bytes
    return f"{human_size(written, precision=3)} (virtual {human_size(image, precision=3)})"


def _labels(row: Row) -> dict[str, str]:
    from pypod.cli.go.values import NilMap

    return row.container.labels or NilMap()


_NAMESPACE_FIELDS = {
    "mnt": "Mnt",
    "cgroup": "Cgroup",
    "ipc": "Ipc",
    "net": "Net",
    "pid": "Pidns",
    "uts": "Uts",
    "user": "User",
}


def _namespaces(row: Row) -> Struct:
    inodes = row.container.namespaces
    return Struct({name: str(inodes.get(kind, "")) for kind, name in _NAMESPACE_FIELDS.items()})


def _namespace(name: str) -> Callable[[Row], str]:
    return lambda row: row["Namespaces"][name]


def _seconds(moment_ns: int) -> int:
    return moment_ns // _SECOND_NS if moment_ns else _NEVER_S


FIELDS: dict[str, Callable[[Row], Any]] = {
    "AutoRemove": lambda row: row.container.auto_remove,
    "CGROUPNS": _namespace("Cgroup"),
    "Cgroup": _namespace("Cgroup"),
    "Command": _command,
    "Created": lambda row: go_time(row.container.created_ns),
    "CreatedAt": lambda row: go_time(row.container.created_ns),
    "CreatedHuman": lambda row: row.listing.ago(row.container.created_ns),
    "ExitCode": lambda row: exit_code(row.container),
    "Exited": lambda row: row.container.state.status == "exited",
    "ExitedAt": lambda row: _seconds(row.container.state.finished_ns),
    "ID": lambda row: row.identifier(row.container.id),
    "IPC": _namespace("Ipc"),
    "Image": lambda row: image_name(row.container),
    "ImageID": lambda row: row.identifier(row.container.image_id),
    "IsInfra": lambda row: row.container.is_infra,
    "Labels": _labels,
    "MNT": _namespace("Mnt"),
    "Mounts": lambda row: [mount.target for mount in row.container.mounts],
    "NET": _namespace("Net"),
    "Names": lambda row: row.container.name,
    "Namespaces": _namespaces,
    "Networks": lambda row: ",".join(row.container.networks),
    "PIDNS": _namespace("Pidns"),
    "Pid": lambda row: row.container.state.pid,
    "Pod": lambda row: row.identifier(row.container.pod_id),
    "PodName": lambda row: row.container.pod_name,
    "Ports": lambda row: ", ".join(map(str, row.container.ports)),
    "Restarts": lambda row: row.container.state.restarts,  # as in podman 5
    "RunningFor": lambda row: row.listing.ago(row.container.created_ns),
    "Size": _size,
    "StartedAt": lambda row: _seconds(row.container.state.started_ns),
    "State": _status,
    "Status": _status,
    "USERNS": _namespace("User"),
    "UTS": _namespace("Uts"),
    "User": _namespace("User"),
}

# Headings that are not the placeholder's name in words (podman: cmd/podman/containers/ps.go).
TITLES = {
    "CGROUPNS": "cgroupns",
    "Cgroup": "cgroupns",
    "CreatedHuman": "created",
    "ID": "container id",
    "IPC": "ipc",
    "MNT": "mnt",
    "NET": "net",
    "PIDNS": "pidns",
    "Pod": "pod id",
    "PodName": "podname",
    "RunningFor": "running for",
    "USERNS": "userns",
    "UTS": "uts",
    "User": "userns",
}


COLUMNS, NS_COLUMNS, POD_COLUMNS, SIZE_COLUMN = (
    tuple(Column(key=key, title=title) for key, title in pairs)
    for pairs in (
        (
            ("ID", "CONTAINER ID"),
            ("Image", "IMAGE"),
            ("Command", "COMMAND"),
            ("CreatedHuman", "CREATED"),
            ("Status", "STATUS"),
            ("Ports", "PORTS"),
            ("Names", "NAMES"),
        ),
        (
            ("ID", "CONTAINER ID"),
            ("Names", "NAMES"),
            ("Pid", "PID"),
            ("Cgroup", "CGROUPNS"),
            ("IPC", "IPC"),
            ("MNT", "MNT"),
            ("NET", "NET"),
            ("PIDNS", "PIDNS"),
            ("User", "USERNS"),
            ("UTS", "UTS"),
        ),
        (("Pod", "POD ID"), ("PodName", "PODNAME")),
        (("Size", "SIZE"),),
    )
)


def _port(port: Port) -> Struct:
    return Struct(
        host_ip=port.host_ip,
        container_port=port.container_port,
        host_port=port.host_port,
        range=port.count,
        protocol=port.protocol,
    )


def as_json(row: Row, *, namespaces: bool, pods: bool) -> Struct:
    """Return a row as ``--format json`` shows it: names, types and order differ from the placeholders."""
    one, spec = row.container, row.container.spec
    inodes = row["Namespaces"].items() if namespaces else ()
    return Struct(
        AutoRemove=one.auto_remove,
        Command=list(spec.command) if spec is not None else None,
        CreatedAt=row["CreatedHuman"],
        Exited=row["Exited"],
        ExitedAt=row["ExitedAt"],
        ExitCode=exit_code(one),
        Id=one.id,
        Image=row["Image"],
        ImageID=one.image_id,
        IsInfra=row["IsInfra"],
        Labels=one.labels or None,
        Mounts=row["Mounts"],
        Names=[one.name],
        Namespaces=Struct((name, inode) for name, inode in inodes if inode),
        Networks=list(one.networks),
        Pid=one.state.pid,
        Pod=one.pod_id,
        PodName=row["PodName"] if pods else "",
        Ports=[_port(port) for port in one.ports] or None,
        Size=Struct(rootFsSize=one.image_bytes, rwSize=one.written_bytes) if row.listing.size else None,
        StartedAt=row["StartedAt"],
        State=one.state.status,
        Status=row["Status"],
        Created=one.created_ns // _SECOND_NS,
    )
