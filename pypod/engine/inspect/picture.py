"""The content of a pod's diagram: its processes, their supervisors, the namespaces."""

from __future__ import annotations

import os

from pypod.display.markup import element, table
from pypod.display.picture import COLUMNS_LIMIT, HOST, INFRA, MEMBER, Band, Cable, Part, Picture
from pypod.engine.containers import pods
from pypod.engine.core import observe
from pypod.engine.inspect.lsns import arguments
from pypod.engine.inspect.sharing import Column, matrix
from pypod.errors import NotFound, StoreError, Unsupported
from pypod.network.links import index_of
from pypod.store import networks, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypod.engine.core.context import Context
    from pypod.engine.inspect.sharing import Row
    from pypod.store.records import ContainerRecord, PodRecord


def of_pod(context: Context, pod: PodRecord) -> Picture:
    """Return the current state: the host (this process), the infra and the members, running or not.

    Beyond twelve columns members are counted instead of drawn. Raises NoSuchPod.
    """
    infra, members = pods.infra_of(context, pod), pods.members(context, pod)
    room = COLUMNS_LIMIT - 1 - (infra is not None)
    parts = [Part(name="host", role=HOST, status="running", pid=os.getpid(), command="this process")]
    if infra is not None:
        parts.append(_part(context, infra))
    parts += [_part(context, member) for member in members[:room]]
    table = matrix([Column(name=one.name, role=one.role, pid=one.pid) for one in parts])
    bands = [Band(kind=row.kind, inodes=row.inodes, marks=row.marks) for row in sorted(table.rows, key=_order)]
    runs = infra is not None and observe.state_of(context, infra.id).running
    return Picture(
        name=pod.name,
        id=pod.id,
        status=pods.state_of(context, pod).status,
        parts=tuple(parts),
        bands=tuple(bands),
        left_out=max(len(members) - room, 0),
        cables=tuple(_cables(context, pod.infra_id)) if runs else (),
    )


def _cables(context: Context, infra_id: str) -> Iterator[Cable]:
    for asked, made in networks.connections_of(context.database, infra_id):
        if made is None:
            continue
        network = networks.find(context.database, asked.network)
        yield Cable(
            network=network.name,
            interface=made.interface,
            addresses=made.addresses,
            # it may have been deleted from outside
            host_interface=made.host_interface if index_of(made.host_interface) else "",
            bridge=network.interface if index_of(network.interface) else f"{network.interface}, gone",
            gateways=network.gateway_addresses(),
        )


def _part(context: Context, record: ContainerRecord) -> Part:
    state, is_infra = observe.state_of(context, record.id), record.kind == records.INFRA
    pid = state.pid if state.alive else 0
    code = "unknown" if state.exit_code is None else state.exit_code
    return Part(
        name=INFRA if is_infra else record.name,
        role=INFRA if is_infra else MEMBER,
        status=f"exited ({code})" if state.status == "exited" else state.status,
        pid=pid,
        command=(arguments(pid) if pid else "") or _asked(context, record),
        # the infra has no supervisor that is its parent: it is its own
        monitor_pid=state.supervisor_pid if pid and not is_infra else 0,
    )


def _asked(context: Context, record: ContainerRecord) -> str:
    try:
        spec = context.container_spec(record)
    except (StoreError, Unsupported):  # a damaged record; an infra
        return ""
    return " ".join((*spec.entrypoint, *spec.command))


def _rootfs(context: Context, record: ContainerRecord) -> str:
    try:
        spec = context.container_spec(record)
    except (StoreError, Unsupported):
        return ""
    return f"{spec.image or spec.rootfs}{', copy on write' if spec.overlay else ''}"


def _order(row: Row) -> int:
    """Sort shared namespaces first, then those of single members, then the host's."""
    host, *pod = row.inodes
    known = [inode for inode in pod if inode is not None]
    if not known or all(inode == host for inode in known):
        return 2
    return 0 if len(set(known)) < len(known) or len(known) == 1 else 1


def container_html(context: Context, identifier: str, name: str) -> str:
    """Return a table with the most important facts, for a notebook."""
    try:
        record = records.find_container(context.database, identifier)
        part, rootfs = _part(context, record), _rootfs(context, record)
        pod = records.find_pod(context.database, record.pod_id) if record.pod_id else None
        host = Column(name=HOST, role=HOST, pid=os.getpid())
        both = matrix([host, Column(name=part.name, role=MEMBER, pid=part.pid)])
    except NotFound:
        return element("p", f"container {name}: removed")
    rows: list[tuple[object, object]] = [
        ("status", part.status),
        ("id", record.id[:12]),
        *([("pod", pod.name)] if pod else []),
        *([("pid", part.pid), ("monitor", part.monitor_pid or "-")] if part.pid else []),
        ("command", part.command),
        ("root", rootfs),
    ]
    for row in both.rows:
        outer, inode = row.inodes
        if inode is not None:
            rows.append((f"{row.kind} namespace", f"{inode} the host's" if inode == outer else inode))
    return table((), rows, caption=f"container {part.name}")
