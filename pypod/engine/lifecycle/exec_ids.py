"""Ids of the commands that run beside a container's first process: none is stored, each is derived from its process."""

from __future__ import annotations

from pypod.kernel.programs import LAUNCHER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerState
    from pypod.store.records import ContainerRecord


_PROCESS = f"pypod-{LAUNCHER}"


def of_process(container_id: str, pid: int, start_time: int) -> str:
    """Return the id of the command whose first process this is."""
    import hashlib  # imports OpenSSL, which a listing without such commands need not wait for

    return hashlib.sha256(f"{container_id} {pid} {start_time}".encode()).hexdigest()


def running(context: Context, record: ContainerRecord, state: ContainerState) -> list[str]:
    """Return the ids of the commands that run in a container now, oldest first: those a launcher of ours started."""
    if not state.running:
        return []
    found = []
    for pid in context.cgroups_of(record).processes(record.cgroup):
        process = context.proc.stat(pid)
        parent = context.proc.stat(process.ppid) if process is not None and pid != state.pid else None
        if process is not None and parent is not None and parent.comm == _PROCESS:
            found.append((process.start_time, pid))
    return [of_process(record.id, pid, start_time) for start_time, pid in sorted(found)]
