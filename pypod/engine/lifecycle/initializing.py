"""Initialize containers: a start that stops before the exec, where the process waits for the rest (``await_start``).

The monitor has the other end of what it waits for, a socket, so a container cannot outlive its monitor in this state.
"""

from __future__ import annotations

from pypod.engine.core import announce, observe
from pypod.engine.lifecycle import joining, start
from pypod.errors import Unsupported, WrongState
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.store.records import ContainerRecord


def initialize(context: Context, record: ContainerRecord) -> None:
    """Start a container up to its exec; a pod's infra is started first.

    Raises WrongState when it has been initialized or started, or what it joins is not running; what ``start`` raises.
    """
    state = observe.state_of(context, record.id)
    if state.alive:
        raise start.already_initialized(record, state)
    if record.kind == records.INFRA:
        message = "the infra of a pod cannot be initialized: it has no program of its own that could wait"
        raise Unsupported("init", message, hint="initialize a member of the pod, which starts the infra")
    if not record.pod_id:
        _require_targets(context, record)
    start.start(context, record, start.Caller(initialize=True))
    announce.container(context, announce.INIT, record)


def _require_targets(context: Context, record: ContainerRecord) -> None:
    stopped = [one.id for one in joining.stopped_targets(context, record)]
    if stopped:
        message = f"some dependencies of container {record.id} are not started: {','.join(stopped)}"
        raise WrongState(record.name, "created", f"{message}: container state improper")
