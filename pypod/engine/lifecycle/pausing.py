"""Pause and unpause: the freezer stops every process of a container's cgroup without their noticing."""

from __future__ import annotations

import os

from pypod.engine.core import announce, observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import Lock
from pypod.errors import WrongState
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.store.records import ContainerRecord, PodRecord

PAUSED, RUNNING = "paused", "running"


def pause(context: Context, record: ContainerRecord, pod: PodRecord | None = None) -> None:
    """Pause a container; an infra's ``pod`` has its labels.

    Raises WrongState unless it is running, Unsupported on a host without the freezer, DeadlineExceeded when its
    processes do not freeze in time.
    """
    directory = context.layout.container(record.id)
    with Boundary(f"pause container {record.name}"), _lock(context, record) as lock, lock:
        status = observe.container_state(directory, context.boot_id).status
        if status == PAUSED:
            raise WrongState(record.name, status, f'"{record.id}" is already paused: container state improper')
        if status != RUNNING:
            raise WrongState(record.name, status, f'"{status}" is not running, can\'t pause: container state improper')
        freeze(context, record)
        announce.container(context, announce.PAUSE, record, pod)


def unpause(context: Context, record: ContainerRecord, pod: PodRecord | None = None) -> None:
    """Resume a paused container. Raises WrongState when it is not paused."""
    directory = context.layout.container(record.id)
    with Boundary(f"unpause container {record.name}"), _lock(context, record) as lock, lock:
        status = observe.container_state(directory, context.boot_id).status
        if status != PAUSED:
            message = f'"{record.id}" is not paused, can\'t unpause: container state improper'
            raise WrongState(record.name, status, message)
        thaw(context, record)
        announce.container(context, announce.UNPAUSE, record, pod)


def _lock(context: Context, record: ContainerRecord) -> Lock:
    """Return the lock that a start takes: for an infra it is the pod's."""
    infra = record.kind == records.INFRA
    return Lock(context.layout.pod(record.pod_id) if infra else context.layout.container(record.id))


def freeze(context: Context, record: ContainerRecord) -> None:
    """Freeze the processes of a container, and create a link to the kernel's file that reports it."""
    link = f"{context.layout.container(record.id)}/{observe.FREEZER_LINK}"
    if not os.path.islink(link):  # one left by an earlier pause is still right: the cgroup's path never changes
        os.symlink(context.cgroups_of(record).freezer_file(record.cgroup), link)
    context.cgroups_of(record).freeze(record.cgroup, True)


def thaw(context: Context, record: ContainerRecord) -> None:
    """Thaw the processes of a container."""
    context.cgroups_of(record).freeze(record.cgroup, False)
    try:
        os.unlink(f"{context.layout.container(record.id)}/{observe.FREEZER_LINK}")
    except FileNotFoundError:
        return


def refuse_paused(context: Context, record: ContainerRecord, what: str) -> None:
    """Raise WrongState, in podman's words, when a container is paused; ``what`` names the states that are accepted."""
    status = observe.state_of(context, record.id).status
    if status == PAUSED:
        raise WrongState(
            record.name,
            status,
            f"{what}. {record.id} is in state {status}: container state improper",
            hint=f"pypod unpause {record.name}",
        )
