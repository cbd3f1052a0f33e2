"""Stop, kill and remove containers. Stop and removal are idempotent."""

from __future__ import annotations

import os
import time

from pypod.engine.core import announce, kept_records, observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import AT_ONCE, Lock
from pypod.engine.lifecycle import patience, pausing
from pypod.engine.networks import detaching, member_names
from pypod.engine.resources import groups
from pypod.engine.storage import mount_points
from pypod.engine.storage.trash import discard
from pypod.errors import DeadlineExceeded, StoreError, Unsupported, WrongState
from pypod.kernel import pidfd
from pypod.kernel.abi import SIGINT, SIGKILL, SIGQUIT, SIGTERM, signal_name
from pypod.model.container import DEFAULT_STOP_TIMEOUT_S
from pypod.store import dependencies, records
from pypod.store.failures import wants_space

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerState
    from pypod.store.records import ContainerRecord

_KILL_TIMEOUT_S = 10.0
_RECORD_POLL_S = 0.001
_ENDING = (SIGKILL, SIGTERM, SIGINT, SIGQUIT)  # signals of someone who wants a container to end
_DEAF = (pausing.PAUSED, observe.INITIALIZED)  # no program of theirs can hear a signal


class Running:
    """A container that had processes when observed: its first process and its supervisor, held by descriptors."""

    __slots__ = ("directory", "fd", "record", "state", "supervisor_fd")

    def __init__(self, record: ContainerRecord, directory: str, state: ContainerState, fd: int) -> None:
        self.record = record
        self.directory = directory
        self.state = state
        self.fd = fd
        found = pidfd.open_process(state.supervisor_pid, state.supervisor_start_time) if state.supervisor_pid else None
        self.supervisor_fd = -1 if found is None else found

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self.fd)
        if self.supervisor_fd >= 0:
            os.close(self.supervisor_fd)


def find_running(context: Context, record: ContainerRecord) -> Running | None:
    """Return the container of a record if it is running or initialized."""
    directory = context.layout.container(record.id)
    state = observe.container_state(directory, context.boot_id)
    fd = pidfd.open_process(state.pid, state.start_time) if state.alive else None
    return None if fd is None else Running(record, directory, state, fd)


def stop(context: Context, record: ContainerRecord, timeout_s: float | None = None) -> bool:
    """Stop one container; return whether it was running. See ``stop_all``."""
    return bool(stop_all(context, [record], timeout_s))


def stop_all(context: Context, all_records: Iterable[ContainerRecord], timeout_s: float | None = None) -> list[str]:
    """Stop containers concurrently: each gets its stop signal, and SIGKILL after its timeout.

    ``timeout_s`` replaces each one's own stop timeout; ``patience`` describes when the wait is shorter than that. One
    that is only initialized is killed, as is whatever is left in a container's cgroup. Returns the ids of those that
    had processes. Raises DeadlineExceeded when one could not even be killed, WrongState for a paused one.
    """
    everyone = list(all_records)
    for record in everyone:
        pausing.refuse_paused(context, record, "can only stop created or running containers")
    ended = _end_all(context, everyone, timeout_s, patience.STARTING_S)
    for record in everyone:
        # a container that was not running leaves processes behind if its monitor, which kills them, was killed itself
        if record.id in ended or not context.cgroups_of(record).is_empty(record.cgroup):
            _clear(context, record)
    return ended


def end_all(context: Context, all_records: Iterable[ContainerRecord], timeout_s: float | None = None) -> list[str]:
    """Stop containers as ``stop_all`` does, for a caller that removes them afterwards, along with their cgroups."""
    return _end_all(context, all_records, timeout_s, _starting_s(timeout_s))


def _starting_s(timeout_s: float | None) -> float:
    """Return how long a program may take to install its handler when its container is removed: 0 without a timeout."""
    return 0.0 if timeout_s is None else patience.STARTING_S


def _end_all(
    context: Context, all_records: Iterable[ContainerRecord], timeout_s: float | None, starting_s: float
) -> list[str]:
    everyone = list(all_records)
    for record in everyone:
        _say_stopped(context, record)
    running = [one for record in everyone if (one := find_running(context, record)) is not None]
    _end(context, running, timeout_s, starting_s)
    return [one.record.id for one in running]


def _end(context: Context, running: list[Running], timeout_s: float | None, starting_s: float) -> None:
    try:
        requests = {one.fd: (one, request(context, one, timeout_s, starting_s)) for one in running}
        shown = _show_as_stopping(context, (one for one, asked in requests.values() if asked.patience_s))
        try:
            patience.wait([asked for _, asked in requests.values()], lambda fd: _kill(context, *requests[fd]))
            for one in running:
                _wait_until_recorded(one)
        finally:
            for path in shown:
                observe.unlink(path)
        for one in running:
            if not pidfd.wait(one.fd, _KILL_TIMEOUT_S):
                raise DeadlineExceeded(f"kill container {one.record.name}", _KILL_TIMEOUT_S)
            if not one.record.pod_id:
                detaching.detach_if_ended(context, one.record.id)  # it may have been started again by now
            else:
                member_names.remove(f"{context.layout.pod(one.record.pod_id)}/hosts", one.record.name)
            release_volumes(context, one.record)
    finally:
        for one in running:
            one.close()


def _say_stopped(context: Context, record: ContainerRecord) -> None:
    if record.may_restart:
        from pypod.engine.lifecycle.restarts import say_stopped

        say_stopped(context, record)


def release_volumes(context: Context, record: ContainerRecord) -> None:
    """Unmount the file systems of volumes that a container that has ended was the last to use."""
    if not record.may_use_volumes:
        return
    from pypod.engine.storage import volume_mounts

    try:
        spec = context.container_spec(record)
    except (StoreError, Unsupported):
        return
    for name in {mount.source for mount in spec.mounts if mount.type == "volume"}:
        volume_mounts.release(context, name, but=record.id)


def release(context: Context, record: ContainerRecord) -> None:
    """Release what a container without processes has: its cgroup, addresses and ports, file systems of volumes."""
    groups.clear(context, record.cgroup)
    detaching.unplug_and_detach(context, record.id)
    release_volumes(context, record)


def _clear(context: Context, record: ContainerRecord) -> None:
    """Kill what is left in the cgroup of a container that is not running, and remove the cgroup.

    If the container's lock is held, its holder either starts it, and creates a new cgroup at the same path, or removes
    it along with the cgroup.
    """
    directory = context.layout.container(record.id)
    try:
        with Lock(directory, AT_ONCE, without_space=True) as lock, lock:
            if not observe.container_state(directory, context.boot_id).alive:
                groups.clear(context, record.cgroup)
    except BlockingIOError:
        return


def request(context: Context, one: Running, timeout_s: float | None, starting_s: float) -> patience.Request:
    """Return the request that stops a container, with ``timeout_s`` instead of its own stop timeout.

    ``starting_s``: how long after its start it may still be about to install a handler for its stop signal.
    """
    try:
        spec = context.container_spec(one.record)
        number, patience_s = spec.stop_signal, float(spec.stop_timeout_s)
    except (StoreError, Unsupported):  # a damaged record must not keep a container running; an infra has none
        number, patience_s = SIGTERM, float(DEFAULT_STOP_TIMEOUT_S)
    patience_s = patience_s if timeout_s is None else timeout_s
    return patience.Request(
        context.proc,
        fd=one.fd,
        pid=one.state.pid,
        start_time=one.state.start_time,
        number=number,
        patience_s=0.0 if one.state.status in _DEAF else patience_s,
        starting_s=starting_s,
    )


def _show_as_stopping(context: Context, running: Iterable[Running]) -> list[str]:
    """Say in the directories of containers that this process is stopping them; return the files that say so."""
    paths = [f"{one.directory}/{observe.STOPPING_FILE}" for one in running]
    if not paths:
        return []
    own = os.getpid()
    content = f"{own} {context.proc.start_time(own) or 0}".encode()
    for path in paths:
        observe.write(path, content)
    return paths


def _kill(context: Context, one: Running, asked: patience.Request) -> None:
    if asked.is_late:
        late = f"failed to stop container {one.record.name} in {asked.patience_s:g} seconds"
        context.warn(f"StopSignal {signal_name(asked.number)} {late}, resorting to SIGKILL")
    pidfd.send_signal(one.fd, SIGKILL)
    context.cgroups_of(one.record).kill(one.record.cgroup, timeout_s=0)


def _wait_until_recorded(one: Running) -> None:
    """Wait for the monitor to record the exit; return at once without a monitor.

    The monitor then exits, or executes the removal of the container, which may be waiting for a lock that we hold.
    """
    deadline = time.monotonic() + _KILL_TIMEOUT_S
    while one.supervisor_fd >= 0 and not pidfd.wait(one.supervisor_fd, _RECORD_POLL_S):
        if observe.is_recorded(one.directory) or time.monotonic() > deadline:
            return


def kill(context: Context, record: ContainerRecord, number: int) -> None:
    """Send a signal to the first process. Raises WrongState unless the container is running."""
    pausing.refuse_paused(context, record, "can only kill running containers")
    one = find_running(context, record)
    if one is None or one.state.status == observe.INITIALIZED:
        if one is not None:
            one.close()
        state = observe.state_of(context, record.id)
        raise WrongState(
            record.name,
            state.status,
            f"can only kill running containers. {record.id} is in state {state.status}: container state improper",
        )
    try:
        announce.container(context, announce.KILL, record)
        if record.may_restart and number in (*_ENDING, request(context, one, 0.0, 0.0).number):
            _say_stopped(context, record)
        pidfd.send_signal(one.fd, number)
        if number == SIGKILL:
            pidfd.wait(one.fd, _KILL_TIMEOUT_S)
            _wait_until_recorded(one)
    finally:
        one.close()


def remove(
    context: Context,
    record: ContainerRecord,
    *,
    force: bool = False,
    timeout_s: float | None = None,
    volumes: bool = True,
) -> None:
    """Remove a container; with ``force`` stop it first. It is no error if it is gone already.

    ``volumes``: also the anonymous volumes that only it uses.

    The order makes a crash harmless: processes, cgroup, record, files. Whatever is left has no record, and
    ``system check`` collects it.
    """
    directory = context.layout.container(record.id)
    with Boundary(f"remove container {record.name}"):
        if not force:
            _require_ended(context, record)
        end_all(context, [record], timeout_s)
        with Lock(directory, without_space=True) as lock, lock:
            if not force:
                _require_ended(context, record)
            again = find_running(context, record)  # it may have been started before we took the lock
            _end(context, [again] if again else [], timeout_s, _starting_s(timeout_s))
            groups.clear(context, record.cgroup)
            detaching.unplug_and_detach(context, record.id)
            release_volumes(context, record)
            own = dependencies.volumes_only_of(
                context.database, [record.id] if volumes and record.may_use_volumes else []
            )
            if record.pod_id:
                member_names.remove(f"{context.layout.pod(record.pod_id)}/hosts", record.name)
            secrets = dependencies.secrets_of(context.database, [record.id] if record.may_use_secrets else [])
            kept_records.forget(context, [record.id])
            forget(context, lambda: records.remove_container(context.database, record, own), [directory], own)
            delete_unneeded(context, secrets)
            announce.container(context, announce.REMOVE, record)


def delete_unneeded(context: Context, secrets: Iterable[str]) -> None:
    """Delete the content of those of some secrets that were removed while the containers just removed used them."""
    if secrets:
        from pypod.engine.storage.secrets import delete_unneeded

        delete_unneeded(context, secrets)


def _require_ended(context: Context, record: ContainerRecord) -> None:
    state = observe.state_of(context, record.id)
    if state.running:
        raise WrongState(
            record.name,
            state.status,
            f"cannot remove container {record.id} as it is {state.status} - running or paused containers cannot "
            "be removed without force: container state improper",
        )


def forget(
    context: Context, delete_records: Callable[[], None], directories: Iterable[str], volumes: Sequence[str] = ()
) -> None:
    """Delete records, then files; in the reverse order when the disk is too full to delete a record.

    ``volumes`` are removed with them: they are anonymous, and no container that stays uses them.
    """
    for directory in (directories := tuple(directories)):
        mount_points.detach_root(directory)
    directories = (*directories, *map(context.layout.volume, volumes))
    if volumes:
        from pypod.engine.storage import volume_files

        volume_files.forget(context, volumes)
    try:
        delete_records()
    except StoreError as error:
        if not wants_space(error):
            raise
        discard(context, directories, wait=True)
        delete_records()
    discard(context, directories)
    if volumes:
        announce.volume(context, announce.REMOVE, *volumes)
