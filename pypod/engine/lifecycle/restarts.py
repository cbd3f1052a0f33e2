"""What a container's monitor, which restarts it, is told through its directory (pause/supervise/restart.c)."""

from __future__ import annotations

import os
import stat

from pypod.engine.core import observe
from pypod.engine.core.effects import Effect
from pypod.errors import StoreError, Unsupported
from pypod.model import restart
from pypod.runtime.ops import Op
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerSpec
    from pypod.store.records import ContainerRecord

_POLICY = "restart"  # a file
_STOPPED = stat.S_IXUSR  # a permission bit of the status file: a full disk takes it, and the next start begins without
_NEVER, _ON_FAILURE, _ANY_END = 0, 1, 2  # as in pause/common/ops.h
_KINDS = {"": _NEVER, restart.NO: _NEVER, restart.ON_FAILURE: _ON_FAILURE}


def ops(spec: ContainerSpec) -> list[Op]:
    """Return the operation that tells the monitor of a run the policy."""
    if not restart.is_active(spec.restart_policy):
        return []
    return [Op("restart", _kind(spec.restart_policy), spec.restart_retries)]


def _kind(policy: str) -> int:
    return _KINDS.get(policy, _ANY_END)


def forgetting(directory: str, spec: ContainerSpec) -> list[Effect]:
    """Return what forgets, before a start, another policy that the monitor of an earlier run was told."""
    if not spec.restart_policy:  # then it was told nothing
        return []
    path = f"{directory}/{_POLICY}"
    return [Effect(f"remove {path}, if it is there", "unlink(2)", lambda: observe.unlink(path))]


def say_stopped(context: Context, record: ContainerRecord) -> None:
    """Say that somebody stops a container with a restart policy: its monitor does not start it again."""
    try:
        fd = os.open(_status(context, record), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # it never ran
        return
    try:
        os.fchmod(fd, 0o600 | _STOPPED)
    except OSError:  # a read-only file system: no start could be recorded there, either
        return
    finally:
        os.close(fd)


def _status(context: Context, record: ContainerRecord) -> str:
    return f"{context.layout.container(record.id)}/status"


def tell(directory: str, policy: tuple[str, int]) -> None:
    """Tell the monitor of a container, if it has one, another policy and number of restarts."""
    observe.write(f"{directory}/{_POLICY}", f"{_kind(policy[0])} {policy[1]}\n".encode())


def wanted(context: Context) -> list[ContainerRecord]:
    """Return the containers that their policy wants to run and that do not; see ``Containers.wanted``."""
    found = []
    for record in records.all_containers(context.database):
        if not record.may_restart:
            continue
        try:
            policy = context.container_spec(record).restart_policy
        except (StoreError, Unsupported):
            continue
        state = observe.state_of(context, record.id)
        if state.status != "exited" or state.restarting:
            continue
        if policy == restart.ALWAYS or (policy == restart.UNLESS_STOPPED and not _is_stopped(context, record)):
            found.append(record)
    return found


def _is_stopped(context: Context, record: ContainerRecord) -> bool:
    """Return whether somebody has stopped a container since it was started."""
    try:
        return bool(os.lstat(_status(context, record)).st_mode & _STOPPED)
    except OSError:
        return False
