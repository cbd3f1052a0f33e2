"""The database rows of a container, copied to its directory, so that it can be stopped without the database.

Each start writes one small file. It is not synced, since a crash of the machine ends what it describes. Removal deletes
this file first. So a directory with such a file but no row in the store belongs to a container whose record was lost,
and a directory without it to one whose removal was interrupted.
"""

from __future__ import annotations

import os

from pypod.engine.core.effects import Effect
from pypod.kernel.descriptors import read_file, write_all
from pypod.model import plain_json
from pypod.model.ids import is_id
from pypod.model.value import Value
from pypod.store import networks, records, rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from pypod.engine.core.context import Context
    from pypod.engine.core.layout import Layout
    from pypod.model.network import NetworkSpec
    from pypod.store.records import ContainerRecord, PodRecord

NAME = "record.json"
_BYTES_LIMIT = 1 << 24  # several times the longest possible command line and environment
# Replaced rather than truncated: ext4 flushes a truncated and rewritten file to disk on close, which takes a
# millisecond (ext4(5), auto_da_alloc).
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Kept(Value):
    """The kept rows of a container and its pod.

    ``connections`` is JSON: for each connection what was asked for, what the start assigned, and its network.
    """

    container: ContainerRecord
    pod: PodRecord | None = None
    connections: tuple[tuple[str, str, str], ...] = ()


def keep(
    context: Context, record: ContainerRecord, pod: PodRecord | None, attached_to: Sequence[NetworkSpec]
) -> Effect:
    """Return the effect that keeps the rows of a container or an infra about to run, its networks already attached."""
    path = f"{context.layout.container(record.id)}/{NAME}"

    def write() -> None:
        _write(path, _text(record, pod, _connections(context, record.id, attached_to)))

    return Effect(f"write the records of {record.name} to {path}", "open(2)", write)


def renew(context: Context, identifier: str) -> None:
    """Rewrite the kept rows of a container, if it has any, after a rename, a connection or a change of owner."""
    path = f"{context.layout.container(identifier)}/{NAME}"
    if os.path.lexists(path):
        record = records.find_container(context.database, identifier)
        pod = records.find_pod(context.database, record.pod_id) if record.pod_id else None
        made = [made for _, made in networks.connections_of(context.database, identifier) if made is not None]
        attached_to = [networks.find(context.database, one.network) for one in made]
        _write(path, _text(record, pod, _connections(context, identifier, attached_to)))


def forget(context: Context, identifiers: Iterable[str]) -> None:
    """Delete the kept rows of containers that are being removed. Raises OSError."""
    for identifier in identifiers:
        try:
            os.unlink(f"{context.layout.container(identifier)}/{NAME}")
        except (FileNotFoundError, NotADirectoryError):
            continue


def read(directory: str) -> Kept | None:
    """Return the rows kept in a container's directory; None when there are none, or when they cannot be read."""
    try:
        found = plain_json.loads(read_file(f"{directory}/{NAME}", _BYTES_LIMIT))
        container = records.checked(records.ContainerRecord(**found["container"]))
        pod = records.checked(records.PodRecord(**found["pod"])) if found["pod"] else None
        connections = tuple((str(asked), str(made), str(network)) for asked, made, network in found["connections"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    if container.id != os.path.basename(directory) or container.pod_id != (pod.id if pod else ""):
        return None
    return Kept(container=container, pod=pod, connections=connections)


def started(layout: Layout) -> list[str]:
    """Return the sorted ids of containers that were ever started: those whose directory is not empty."""
    base = f"{layout.root}/containers"
    try:
        names = os.listdir(base)
    except FileNotFoundError:
        return []
    signs = (NAME, "status")
    return sorted(one for one in names if is_id(one) and any(os.path.lexists(f"{base}/{one}/{sign}") for sign in signs))


def _connections(context: Context, identifier: str, attached_to: Iterable[NetworkSpec]) -> list[list[str]]:
    by_id = {network.id: network for network in attached_to}
    found = networks.connections_of(context.database, identifier) if by_id else []
    return [
        [rows.to_json(one) for one in (asked, made, by_id[asked.network])]
        for asked, made in found
        if made is not None and asked.network in by_id
    ]


def _text(record: ContainerRecord, pod: PodRecord | None, connections: list[list[str]]) -> str:
    fields: dict[str, Any] = {"container": record.__dict__, "pod": pod.__dict__ if pod else None}
    return plain_json.dumps({**fields, "connections": connections})


def _write(path: str, text: str) -> None:
    fd = os.open(path, _WRITE, 0o600)
    try:
        data = text.encode()
        write_all(fd, data)  # one write, unless the disk is full: then the next one raises
        if os.fstat(fd).st_size != len(data):
            os.ftruncate(fd, len(data))
    finally:
        os.close(fd)
