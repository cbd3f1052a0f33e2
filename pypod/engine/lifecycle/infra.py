"""The infra of a pod: start and stop the process that holds the pod's namespaces."""

from __future__ import annotations

import os
import time

from pypod.engine.core import announce, observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import Lock
from pypod.engine.lifecycle import pausing
from pypod.engine.networks import detaching
from pypod.errors import PodBroken
from pypod.kernel import pidfd
from pypod.kernel.abi import SIGINT, SIGKILL, SIGTERM
from pypod.kernel.pidfd import Process
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.engine.core.context import Context
    from pypod.store.records import ContainerRecord, PodRecord

_STOP_TIMEOUT_S = 1.0


def start_locked(context: Context, pod: PodRecord) -> None:
    """Start the infra of a pod, if it has one and it is not running."""
    if pod.infra_id:
        with Boundary(f"start pod {pod.name}"), Lock(context.layout.pod(pod.id)) as lock, lock:
            start(context, pod, lock)


def stop_locked(context: Context, pod: PodRecord) -> None:
    """Stop the infra of a pod, if it has one."""
    if pod.infra_id:
        with Boundary(f"stop pod {pod.name}"), Lock(context.layout.pod(pod.id)) as lock, lock:
            stop(context, pod)


def start(context: Context, record: PodRecord, lock: Lock) -> None:
    """Start the infra unless it is running, and write the pod's files; ``lock`` is the pod's.

    Raises PodBroken while members of an earlier infra are running: a pod must never have two sets of namespaces.
    """
    # here, since what stops and removes pods need not wait for the import of what starts them
    from pypod.engine.core import effects
    from pypod.engine.core.effects import Undoing
    from pypod.engine.lifecycle import files, infra_start
    from pypod.engine.lifecycle.performing import perform
    from pypod.engine.networks import attachments, claims
    from pypod.engine.networks.running import of_container

    directory = context.layout.container(record.infra_id)
    record = records.find_pod(context.database, record.id)
    if observe.container_state(directory, context.boot_id).running:
        infra = records.find_container(context.database, record.infra_id)
        attached = of_container(context, infra.id)
        files.of_pod(context, record, context.pod_spec(record), infra, attached).perform()
        return
    everyone = records.all_containers(context.database, pod_id=record.id)
    require_no_members(context, record, everyone)
    program = infra_start.program(context)
    with Boundary(f"start pod {record.name}"):
        effects.perform(program.preparations(context))
        with (
            program.start(context) as launching,
            claims.connecting(context) as shared,
            shared,
            Undoing() as undoing,
        ):
            known = (one for one in everyone if one.id == record.infra_id)
            infra = next(known, None) or records.find_container(context.database, record.infra_id)
            begun = infra_start.InfraStart.resolve(context, infra, record, asking=True)
            undoing.add(lambda: detaching.detach(context, infra.id))
            attached = attachments.attach(context, infra.id)
            # the infra may already be running when writing its files fails
            perform(context, begun.steps(attached, undo=lambda: stop(context, record)), undoing, launching, lock)
            undoing.keep()


def require_no_members(context: Context, record: PodRecord, everyone: Iterable[ContainerRecord], but: str = "") -> None:
    """Raise PodBroken while members of an earlier infra are running, except the one with the id ``but``."""
    alive = [
        member.name
        for member in everyone
        if member.id not in (record.infra_id, but) and observe.state_of(context, member.id).alive
    ]
    if alive:
        raise PodBroken(
            record.name,
            "Broken",
            f"the infra container of pod {record.name} is gone and its namespaces live on in {', '.join(alive)} only",
            hint=f"pypod pod restart {record.name} stops them and makes the pod anew",
        )


def ready(context: Context, record: PodRecord) -> Process | None:
    """Return the process of a pod's infra if members can be started: it is running and the pod's files are complete.

    The files are written while the infra starts, and the process that writes them can be killed.
    """
    from pypod.engine.networks import etc_files

    if not etc_files.are_complete(context.layout.pod(record.id)):
        return None
    state = observe.state_of(context, record.infra_id)
    return Process(state.pid, state.start_time) if state.running else None


def kill(context: Context, record: PodRecord, number: int) -> bool:
    """Send a signal to the infra, record its exit if it ends, and return whether it was running.

    The caller holds the pod's lock.
    """
    directory = context.layout.container(record.infra_id)
    state = observe.container_state(directory, context.boot_id)
    fd = pidfd.open_process(state.pid, state.start_time) if state.status == "running" else None
    if fd is None:
        return False
    infra = records.find_container(context.database, record.infra_id)
    try:
        announce.container(context, announce.KILL, infra, record)
        pidfd.send_signal(fd, number)
        # pypod's own infra program exits on TERM and INT; a user's may exit on any signal
        if pidfd.wait(fd, _STOP_TIMEOUT_S if number in (SIGKILL, SIGTERM, SIGINT) else 0):
            detaching.unplug_and_detach(context, infra.id)  # members may outlive it: they handle signals differently
            _record_exit(context, record, infra, number if number == SIGKILL else 0)
    finally:
        os.close(fd)
    return True


def stop(context: Context, record: PodRecord) -> None:
    """Stop the infra and record its exit; the caller holds the pod's lock."""
    directory = context.layout.container(record.infra_id)
    state = observe.container_state(directory, context.boot_id)
    fd = pidfd.open_process(state.pid, state.start_time) if state.running else None
    if fd is None:
        return
    from pypod.engine.lifecycle import patience

    late: list[int] = []
    try:
        if state.status == "paused":
            pausing.thaw(context, records.find_container(context.database, record.infra_id))
        request = patience.Request(
            context.proc,
            fd=fd,
            pid=state.pid,
            start_time=state.start_time,
            number=SIGTERM,
            patience_s=_STOP_TIMEOUT_S,
            starting_s=patience.STARTING_S,
        )
        request.advance()
        infra = records.find_container(context.database, record.infra_id)  # looked up while it shuts down
        patience.wait([request], late.append)
        if late:
            pidfd.send_signal(fd, SIGKILL)
            pidfd.wait(fd, _STOP_TIMEOUT_S)
        status = SIGKILL if late else 0
    finally:
        os.close(fd)
    _record_exit(context, record, infra, status)


def _record_exit(context: Context, record: PodRecord, infra: ContainerRecord, status: int) -> None:
    """Record the exit, which no supervisor stayed to record; ``status`` is 0 or the signal that killed the infra."""
    announce.container(context, announce.DIED, infra, record, exit_code=128 + status if status else 0)
    observe.record_exit(context.layout.container(record.infra_id), status, time.time_ns())
    detaching.detach(context, record.infra_id)
