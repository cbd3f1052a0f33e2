"""Change the limits of a running container or pod."""

from __future__ import annotations

from pypod.engine.core import observe
from pypod.engine.core.locks import Lock
from pypod.engine.resources import groups
from pypod.engine.resources.limits import from_options, settings_of
from pypod.errors import InvalidSpec, WrongState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.engine.core.context import Context
    from pypod.kernel.cgroups.settings import Setting
    from pypod.model.options.limits import LimitOptions
    from pypod.store.records import ContainerRecord, PodRecord


def update(context: Context, record: ContainerRecord, options: LimitOptions) -> None:
    """Write limits to the cgroup of a container; see ``Container.update``."""
    limits = from_options(options)
    directory = context.layout.container(record.id)
    with Lock(directory) as lock, lock:
        state = observe.container_state(directory, context.boot_id)
        if not state.running:
            raise WrongState(
                record.name,
                state.status,
                f"container {record.id} is {state.status}: only the limits of a running container can be changed: "
                "container state improper",
            )
        if limits is not None:
            apply_all(context, record.cgroup, settings_of(context, limits, path=record.cgroup))


def update_pod(context: Context, record: PodRecord, members: Sequence[ContainerRecord], options: LimitOptions) -> None:
    """Write limits to the cgroup of a pod, which contains those of its infra and ``members``; see ``Pod.update``."""
    limits = from_options(options)
    directory = context.layout.pod(record.id)
    with Lock(directory) as lock, lock:
        paths = {path for path in map(groups.pod_group, members) if path and not context.cgroups.is_empty(path)}
        if not paths:
            raise WrongState(
                record.name,
                "Stopped",
                f"no container of pod {record.name} runs in its cgroup: limits can only be changed while one does",
            )
        for path in paths if limits is not None else ():
            apply_all(context, path, settings_of(context, limits, path=path))


def apply_all(context: Context, path: str, settings: Sequence[Setting]) -> None:
    """Write settings to a cgroup in whatever order the kernel accepts them.

    Some limits constrain each other (memory and memory plus swap, period and quota), so which must be written first
    depends on the current values: settings that are refused are retried after the others. Raises the error of a setting
    that is refused even then; the others stay in effect.
    """
    refused = []
    for setting in settings:
        try:
            context.cgroups.apply(path, setting)
        except InvalidSpec:
            refused.append(setting)
    for setting in refused:
        context.cgroups.apply(path, setting)
