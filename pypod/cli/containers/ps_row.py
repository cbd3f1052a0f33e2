"""One container as a row of ``ps``: every cell, worked out when it is asked for.

The names are podman's placeholders (podman-ps(1)). What a record and a state tell is at hand; what is in the stored
specification, in the pod or in /proc is fetched for the cell that needs it.
"""

from __future__ import annotations

from pypod.cli.go.values import Struct, go_time
from pypod.cli.render.output import Column, human_ago, human_size
from pypod.store.records import INFRA

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pypod.api.engine import Engine
    from pypod.model.container import ContainerSpec, ContainerState
    from pypod.model.port import Port
    from pypod.store.records import ContainerRecord, PodRecord

__all__ = [
    "COLUMNS",
    "FIELDS",
    "INFRA_IMAGE",
    "NS_COLUMNS",
    "POD_COLUMNS",
    "SIZE_COLUMN",
    "TITLES",
    "Listing",
    "Row",
    "as_json",
]

INFRA_IMAGE = "pypod/infra"
_SECOND_NS = 1_000_000_000
_NEVER_S = -62135596800  # what Go makes of a time that was never set
_COMMAND_LIMIT = 17
_SHORT = 12


class Listing:
    """What the rows of one listing share: the engine, the moment, and the pods once one of them was asked for."""

    __slots__ = ("_joining_networks", "_networks", "_pods", "engine", "now_ns", "size", "truncate")

    def __init__(self, engine: Engine, now_ns: int, *, truncate: bool = True, size: bool = False) -> None:
        self.engine = engine
        self.now_ns = now_ns
        self.truncate = truncate
        self.size = size
        self._pods: dict[str, PodRecord] | None = None
        self._networks: dict[str, list[str]] | None = None
        self._joining_networks: set[str] | None = None

    def pod(self, identifier: str) -> PodRecord | None:
        """Return a pod, None when it is gone or there is none."""
        if not identifier:
            return None
        if self._pods is None:
            from pypod.store.records import all_pods

            self._pods = {record.id: record for record in all_pods(self.engine.database)}
        return self._pods.get(identifier)

    def networks(self, identifier: str) -> list[str]:
        """Return the names of the networks of a container that has its own."""
        if self._networks is None:
            from pypod.store.networks import names_by_container

            self._networks = names_by_container(self.engine.database)
        return self._networks.get(identifier, [])

    @property
    def joining_networks(self) -> set[str]:
        """The ids of the containers that have the network of another one."""
        if self._joining_networks is None:
            from pypod.store.dependencies import joining_networks

            self._joining_networks = joining_networks(self.engine.database)
        return self._joining_networks

    def ago(self, moment_ns: int) -> str:
        """Return how long ago a moment was, in words."""
        return human_ago((self.now_ns - moment_ns) / _SECOND_NS)


class Row(Struct):
    """A container; ``row["ID"]`` is a cell."""

    type_name = "containers.psReporter"

    def __init__(self, record: ContainerRecord, state: ContainerState, listing: Listing) -> None:
        self.record = record
        self.state = state
        self.listing = listing
        self._spec: ContainerSpec | None = None

    def __missing__(self, key: str) -> Any:
        value = self[key] = FIELDS[key](self)
        return value

    @property
    def spec(self) -> ContainerSpec | None:
        """What was asked; None for an infra, which has its pod's."""
        if self._spec is None and self.record.kind != INFRA:
            from pypod.store.stored_specs import container_spec

            self._spec = container_spec(self.record)
        return self._spec

    @property
    def labels(self) -> dict[str, str]:
        """The labels; an infra has its pod's."""
        from pypod.store.stored_specs import labels

        record = self.record if self.record.kind != INFRA else self.listing.pod(self.record.pod_id)
        return labels(record) if record is not None else {}

    @property
    def ports(self) -> tuple[Port, ...]:
        """The published ports that lead to it: its own, its pod's, or those of the container whose network it has."""
        pod = self.listing.pod(self.record.pod_id)
        publishes = self.record.publishes_ports or (pod is not None and pod.publishes_ports)
        if not publishes and self.record.id not in self.listing.joining_networks:
            return ()
        from pypod.engine.networks.published import ports_of

        return ports_of(self.listing.engine, self.record)

    @property
    def exit_code(self) -> int:
        """The exit code, -1 when nobody saw it, 0 before there is one."""
        return (self.state.exit_code or 0) if self.state.exit_code_known else -1

    @property
    def health(self) -> str:
        """starting, healthy or unhealthy; nothing without a health check, or when it does not run."""
        if not self.record.has_healthcheck or not self.state.running:
            return ""
        from pypod.engine.containers.health import of

        directory = self.listing.engine.layout.container(self.record.id)
        return of(directory, self.state).status

    @property
    def written_bytes(self) -> int:
        """The size of the writable layer."""
        from pypod.engine.containers.differences import writable_bytes

        return writable_bytes(self.listing.engine, self.listing.engine.layout.container(self.record.id))

    def identifier(self, text: str) -> str:
        """Return an id as it is to be shown."""
        return text[:_SHORT] if self.listing.truncate else text


def _command(row: Row) -> str:
    text = row.record.command
    return f"{text[:_COMMAND_LIMIT]}..." if row.listing.truncate and len(text) > _COMMAND_LIMIT else text


def _health(row: Row) -> str:
    """Return how a container that runs is, in brackets; nothing for one without a health check."""
    found = row.health
    return f" ({found})" if found else ""


def _status(row: Row) -> str:
    state = row.state
    # podman counts from the whole second in which it was
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
    return f"{human_size(row.written_bytes, precision=3)} (virtual 0B)"


def _labels(row: Row) -> dict[str, str]:
    from pypod.cli.go.values import NilMap

    return row.labels or NilMap()


def _mounts(row: Row) -> list[str]:
    from pypod.engine.inspect.containers import user_mounts

    return [mount.target for mount in user_mounts(row.spec)] if row.spec is not None else []


def _pod_name(row: Row) -> str:
    pod = row.listing.pod(row.record.pod_id)
    return pod.name if pod is not None else ""


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
    found = row.listing.engine.proc.namespaces(row.state.pid) if row.state.running else None
    inodes = {kind: str(inode) for kind, (_, inode) in (found or {}).items()}
    return Struct({name: inodes.get(kind, "") for kind, name in _NAMESPACE_FIELDS.items()})


def _namespace(name: str) -> Callable[[Row], str]:
    return lambda row: row["Namespaces"][name]


def _seconds(moment_ns: int) -> int:
    return moment_ns // _SECOND_NS if moment_ns else _NEVER_S


FIELDS: dict[str, Callable[[Row], Any]] = {
    "AutoRemove": lambda row: bool(row.record.remove),
    "CGROUPNS": _namespace("Cgroup"),
    "Cgroup": _namespace("Cgroup"),
    "Command": _command,
    "Created": lambda row: go_time(row.record.created_ns),
    "CreatedAt": lambda row: go_time(row.record.created_ns),
    "CreatedHuman": lambda row: row.listing.ago(row.record.created_ns),
    "ExitCode": lambda row: row.exit_code,
    "Exited": lambda row: row.state.status == "exited",
    "ExitedAt": lambda row: _seconds(row.state.finished_ns),
    "ID": lambda row: row.identifier(row.record.id),
    "IPC": _namespace("Ipc"),
    "Image": lambda row: row.record.image or (INFRA_IMAGE if row.record.kind == INFRA else ""),
    "ImageID": lambda row: row.identifier(row.record.image_id),
    "IsInfra": lambda row: row.record.kind == INFRA,
    "Labels": _labels,
    "MNT": _namespace("Mnt"),
    "Mounts": _mounts,
    "NET": _namespace("Net"),
    "Names": lambda row: row.record.name,
    "Namespaces": _namespaces,
    "Networks": lambda row: ",".join(row.listing.networks(row.record.id)),
    "PIDNS": _namespace("Pidns"),
    "Pid": lambda row: row.state.pid,
    "Pod": lambda row: row.identifier(row.record.pod_id),
    "PodName": _pod_name,
    "Ports": lambda row: ", ".join(map(str, row.ports)),
    "RunningFor": lambda row: row.listing.ago(row.record.created_ns),
    "Size": _size,
    "StartedAt": lambda row: _seconds(row.state.started_ns),
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
    """Return a row as ``--format json`` shows it: other names, types and order than the placeholders."""
    record, spec = row.record, row.spec
    inodes = row["Namespaces"].items() if namespaces else ()
    return Struct(
        AutoRemove=bool(record.remove),
        Command=list(spec.command) if spec is not None else None,
        CreatedAt=row["CreatedHuman"],
        Exited=row["Exited"],
        ExitedAt=row["ExitedAt"],
        ExitCode=row.exit_code,
        Id=record.id,
        Image=row["Image"],
        ImageID=record.image_id,
        IsInfra=row["IsInfra"],
        Labels=row.labels or None,
        Mounts=row["Mounts"],
        Names=[record.name],
        Namespaces=Struct((name, inode) for name, inode in inodes if inode),
        Networks=row.listing.networks(record.id),
        Pid=row.state.pid,
        Pod=record.pod_id,
        PodName=row["PodName"] if pods else "",
        Ports=[_port(port) for port in row.ports] or None,
        Size=Struct(rootFsSize=0, rwSize=row.written_bytes) if row.listing.size else None,
        StartedAt=row["StartedAt"],
        State=row.state.status,
        Status=row["Status"],
        Created=record.created_ns // _SECOND_NS,
    )
