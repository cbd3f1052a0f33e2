"""Init containers of pods: run to their end, one after the other, before the other members are started."""

from __future__ import annotations

from pypod.engine.containers import pods
from pypod.engine.core import observe
from pypod.engine.lifecycle import start, stopping
from pypod.errors import InvalidSpec, WrongState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.engine.core.context import Context
    from pypod.store.records import ContainerRecord, PodRecord

ALWAYS, ONCE = "always", "once"


def check(context: Context, asked: str, pod: PodRecord | None) -> None:
    """Raise InvalidSpec unless a container can be created as an init container, if that is ``asked`` for."""
    if not asked:
        return
    if asked not in (ALWAYS, ONCE):
        raise InvalidSpec("--init-ctr", "init-ctr value must be 'always' or 'once'")
    if pod is None:
        raise InvalidSpec("--init-ctr", "must specify pod value with init-ctr")
    if pods.state_of(context, pod).status in ("Running", "Degraded", "Paused"):
        hint = f"stop it first: pypod pod stop {pod.name}"
        raise InvalidSpec("--init-ctr", "cannot add init-ctr to a running pod", hint=hint)


def run(context: Context, members: Sequence[ContainerRecord]) -> None:
    """Run the init containers among the members of a pod, unless all others run already.

    Raises WrongState when one fails, and what a start raises; the others are not started then.
    """
    others = [one for one in members if not one.initializes]
    if others and all(observe.state_of(context, one.id).alive for one in others):
        return
    for one in members:
        if one.initializes:
            _run(context, one)


def _run(context: Context, record: ContainerRecord) -> None:
    start.start(context, record)
    state = observe.wait_for_exit(context.layout.container(record.id), context.boot_id, None)
    code = state.exit_code if state is not None else None
    if code != 0:
        how = "with code unknown" if code is None else f"with code {code}"
        hint = f"pypod logs {record.name}"
        raise WrongState(record.name, "exited", f"init container {record.id} exited {how}", hint=hint)
    if context.container_spec(record).init_container == ONCE:
        stopping.remove(context, record)
