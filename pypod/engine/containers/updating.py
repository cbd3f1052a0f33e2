"""Change the limits of a container or pod: what runs gets them at once, and every later start.

A container's environment can change, too: for what is started in it from then on.
"""

from __future__ import annotations

from pypod.engine.core import kept_records, observe
from pypod.engine.core.locks import Lock
from pypod.engine.lifecycle import restarts
from pypod.engine.resources import groups
from pypod.engine.resources.limits import from_options, settings_of
from pypod.engine.specs.variables import with_changed_variables
from pypod.errors import InvalidSpec, Unsupported
from pypod.model import restart
from pypod.store import records, rows, stored_specs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pypod.engine.core.context import Context
    from pypod.kernel.cgroups.settings import Setting
    from pypod.model.limits import Limits
    from pypod.model.options.limits import LimitOptions
    from pypod.model.options.update import UpdateOptions
    from pypod.store.records import ContainerRecord, PodRecord


def update(context: Context, record: ContainerRecord, options: UpdateOptions) -> None:
    """Change the limits, the environment and the restart policy of a container; see ``Container.update``."""
    limits, variables = from_options(options), bool(options.environment or options.unsetenv)
    policy = restart.parse(options.restart) if options.restart else None
    directory = context.layout.container(record.id)
    with Lock(directory) as lock, lock:
        record = records.find_container(context.database, record.id)
        running = [record.cgroup] if observe.container_state(directory, context.boot_id).alive else []
        if limits is not None and not record.cgroup:
            raise Unsupported("cgroups", f"container {record.id} cannot be limited: it does not have a cgroup")
        if record.kind == records.INFRA:  # without a specification of its own
            if variables:
                raise InvalidSpec("--env", f"container {record.id} is the infra of a pod: its environment is fixed")
            if policy is not None:
                raise InvalidSpec(
                    "--restart", f"container {record.id} is the infra of a pod: pod restart starts it again"
                )
            if limits is not None:
                _write(context, running, limits, limits)
            return
        spec = changed = stored_specs.container_spec(record)
        if variables:
            changed = with_changed_variables(spec, options.environment, options.unsetenv)
        if limits is not None:
            whole = _together(spec.limits, limits)
            _write(context, running, limits, whole)
            changed = changed.replace(limits=whole)
        if policy is not None:
            restart.require_kept(policy[0], remove=spec.remove)
            changed = changed.replace(restart_policy=policy[0], restart_retries=policy[1])
            restarts.tell(directory, policy)
        if changed != spec:
            records.replace_spec(context.database, "containers", record.id, rows.to_json(changed))
            kept_records.renew(context, record.id)


def update_pod(context: Context, record: PodRecord, members: Sequence[ContainerRecord], options: LimitOptions) -> None:
    """Change the limits of a pod, whose cgroup contains those of its infra and ``members``; see ``Pod.update``."""
    limits = from_options(options)
    directory = context.layout.pod(record.id)
    with Lock(directory) as lock, lock:
        record = records.find_pod(context.database, record.id)
        if limits is None:
            return
        spec = stored_specs.pod_spec(record)
        if not spec.share_parent:
            message = "limits of a pod need --share-parent: without it, the members are outside the pod's cgroup"
            raise InvalidSpec("--share-parent", message)
        whole = _together(spec.limits, limits)
        paths = {path for path in map(groups.pod_group, members) if path and not context.cgroups.is_empty(path)}
        _write(context, paths, limits, whole)
        records.replace_spec(context.database, "pods", record.id, rows.to_json(spec.replace(limits=whole)))
        for one in members:
            kept_records.renew(context, one.id)


def changed_limits(before: Limits | None, options: LimitOptions) -> Limits | None:
    """Return limits with those among the options in place of the earlier ones."""
    limits = from_options(options)
    return before if limits is None else _together(before, limits)


def _together(before: Limits | None, limits: Limits) -> Limits:
    """Return earlier limits with new ones, those of devices by device. Raises InvalidSpec for a contradiction."""
    if before is None:
        return limits
    default = type(limits)()
    changed = {name: value for name, value in limits.items() if value != getattr(default, name)}
    for name, value in changed.items():
        if isinstance(value, tuple):
            changed[name] = tuple({**dict(getattr(before, name)), **dict(value)}.items())
    return before.replace(**changed)


def _write(context: Context, paths: Iterable[str], limits: Limits, whole: Limits) -> None:
    """Write all limits of a container or pod to its cgroups; without any, check that this host supports them."""
    paths = tuple(paths)
    if not paths:
        settings_of(context, whole)
    for path in paths:
        _require_room(context, path, limits)
        apply_all(context, path, settings_of(context, whole, path=path))


def _require_room(context: Context, path: str, limits: Limits) -> None:
    """Raise InvalidSpec for a memory limit below what the group cannot give back.

    On v1 the kernel refuses it (EBUSY). On v2 it takes it, and kills what is in the group.
    """
    held = context.cgroups.unreclaimable_bytes(path) if limits.memory_bytes > 0 else 0
    if held > limits.memory_bytes:
        message = f"--memory: {limits.memory_bytes} bytes are less than the {held} that the processes in {path} hold"
        raise InvalidSpec("--memory", message, hint="give more, or stop it first: the next start applies the limit")


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
