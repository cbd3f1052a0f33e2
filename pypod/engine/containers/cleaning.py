"""What is left of containers that have ended, undone at once instead of by the next listing."""

from __future__ import annotations

from pypod.engine.core import observe
from pypod.engine.core.locks import Lock
from pypod.engine.lifecycle import exec_ids, stopping
from pypod.errors import WrongState
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context


def clean_up(context: Context, identifier: str) -> None:
    """Release a container's addresses and ports, its cgroup, and the file systems of its volumes.

    One that is initialized becomes what it was before. Raises WrongState when it is running.
    """
    directory = context.layout.container(identifier)
    with Lock(directory) as lock, lock:
        record = records.find_container(context.database, identifier)
        state = observe.state_of(context, identifier)
        if state.running:
            message = f"container {record.id} is running or paused, refusing to clean up: container state improper"
            raise WrongState(record.name, state.status, f"failed to clean up container {record.id}: {message}")
        if state.status == observe.INITIALIZED:
            stopping.end_all(context, [record])
            observe.forget_run(directory)
        stopping.release(context, record)


def require_ended_exec(context: Context, identifier: str, session: str) -> None:
    """Raise WrongState: nothing is kept of a command that has ended, so that it is unknown, or is running."""
    record = records.find_container(context.database, identifier)
    state = observe.state_of(context, identifier)
    if session in exec_ids.running(context, record, state):
        message = f"cannot clean up container {record.id} exec session {session} as it is running"
        raise WrongState(record.name, state.status, f"{message}: container state improper")
    message = f"container {record.id} has no exec session with ID {session}: no such exec session"
    raise WrongState(record.name, state.status, message)
