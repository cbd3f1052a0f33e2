"""What the store knows of a container, kept beside the container as well: what runs can be stopped without a database.

Each start writes one small file, and nothing is synced: a crash of the machine ends what runs. A removal deletes it
first of all, so that a directory with such a file and no row in the store is one that the store has lost, and one
without was being removed.
"""

from __future__ import annotations

import os

from pypod.engine.core.effects import Effect
from pypod.kernel.descriptors import write_all
from pypod.model import plain_json
from pypod.model.ids import is_id
from pypod.model.value import Value
from pypod.store import networks, records, stored_specs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pypod.engine.core.context import Context
    from pypod.engine.core.layout import Layout
    from pypod.store.records import ContainerRecord, PodRecord

NAME = "record.json"
_BYTES_LIMIT = 1 << 24  # as long as a command line and an environment can get, several times
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
# Not truncated first: ext4 writes a file that was made anew so to the disk when it is closed, which takes a millisecond
# (ext4(5), auto_da_alloc).
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Kept(Value):
    """What was kept: the rows of a container and its pod.

    ``connections`` are, as JSON, what was asked of each, what the start made of it, and its network.
    """

    container: ContainerRecord
    pod: PodRecord | None = None
    connections: tuple[tuple[str, str, str], ...] = ()


def keep(context: Context, record: ContainerRecord, pod: PodRecord | None) -> Effect:
    """Return what keeps the rows of a container, or of an infra, that is about to run. Its connections are made."""
    path = f"{context.layout.container(record.id)}/{NAME}"

    def write() -> None:
        _write(path, _text(context, record, pod))

    return Effect(f"write what the store knows of {record.name} to {path}", "open(2)", write)


def renew(context: Context, identifier: str) -> None:
    """Keep the rows of a container as they are now, if any were kept: it has been renamed, connected, given away."""
    path = f"{context.layout.container(identifier)}/{NAME}"
    if os.path.lexists(path):
        record = records.find_container(context.database, identifier)
        pod = records.find_pod(context.database, record.pod_id) if record.pod_id else None
        _write(path, _text(context, record, pod))


def forget(context: Context, identifiers: Iterable[str]) -> None:
    """Delete what was kept of containers that are being removed. Raises OSError."""
    for identifier in identifiers:
        try:
            os.unlink(f"{context.layout.container(identifier)}/{NAME}")
        except (FileNotFoundError, NotADirectoryError):
            continue


def read(directory: str) -> Kept | None:
    """Return what is kept in a container's directory; None when nothing is, or nothing that can be read."""
    try:
        found = plain_json.loads(_content(f"{directory}/{NAME}"))
        container = records.checked(records.ContainerRecord(**found["container"]))
        pod = records.checked(records.PodRecord(**found["pod"])) if found["pod"] else None
        connections = tuple((str(asked), str(made), str(network)) for asked, made, network in found["connections"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    if container.id != os.path.basename(directory) or container.pod_id != (pod.id if pod else ""):
        return None
    return Kept(container=container, pod=pod, connections=connections)


def started(layout: Layout) -> list[str]:
    """Return the ids of the containers that were started once, sorted: those that have a directory with something."""
    base = f"{layout.root}/containers"
    try:
        names = os.listdir(base)
    except FileNotFoundError:
        return []
    signs = (NAME, "status")
    return sorted(one for one in names if is_id(one) and any(os.path.lexists(f"{base}/{one}/{sign}") for sign in signs))


def _text(context: Context, record: ContainerRecord, pod: PodRecord | None) -> str:
    connections = [
        [stored_specs.to_json(one) for one in (asked, made, networks.find(context.database, asked.network))]
        for asked, made in networks.connections_of(context.database, record.id)
        if made is not None
    ]
    fields: dict[str, Any] = {"container": record.__dict__, "pod": pod.__dict__ if pod else None}
    return plain_json.dumps({**fields, "connections": connections})


def _write(path: str, text: str) -> None:
    fd = os.open(path, _WRITE, 0o600)
    try:
        data = text.encode()
        write_all(fd, data)  # in one piece, unless the disk is full: then the next write says so
        if os.fstat(fd).st_size != len(data):
            os.ftruncate(fd, len(data))
    finally:
        os.close(fd)


def _content(path: str) -> bytes:
    fd = os.open(path, _READ)
    try:
        content = b""
        while len(content) <= _BYTES_LIMIT and (piece := os.read(fd, 1 << 16)):
            content += piece
        return content
    finally:
        os.close(fd)
