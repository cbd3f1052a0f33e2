"""The cgroup of a container: created for one run, with its limits, before anything runs in it."""

from __future__ import annotations

import os

from pypod.engine.core.effects import Effect
from pypod.engine.resources.limits import settings_of
from pypod.engine.session import session
from pypod.errors import InvalidSpec, Unsupported
from pypod.kernel.cgroups.tree import DEFAULT_PARENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pypod.engine.core.context import Context
    from pypod.kernel.cgroups.settings import Setting
    from pypod.model.limits import Limits
    from pypod.model.pod import PodSpec
    from pypod.runtime.launcher import Launching
    from pypod.store.records import ContainerRecord

_MONITORS = f"{DEFAULT_PARENT}/monitors"
_ANY_GROUP = "cgroup"
_CONF_FLAG = "--cgroup-conf"
_SUPERVISOR = "supervisor"  # podman's name for the monitor's half of a split cgroup


def monitors(context: Context) -> str:
    """Return the cgroup directory of the monitors; empty where a process cannot be cloned into a cgroup.

    A monitor must outlive its caller's cgroup. When the caller's service stops, its service manager kills the whole
    group, and no process would be left to see how the containers end.
    """
    return supervised_from(context, _MONITORS)


def supervised_from(context: Context, path: str) -> str:
    """Return the directory of a cgroup for monitors; empty for none, and where no process can be cloned into it."""
    return context.cgroups.tracking_directory(path) if path and context.cgroups.clones_into_cgroup else ""


def split_path(context: Context, identifier: str) -> str:
    """Return the path of a container's half of the caller's cgroup. Raises Unsupported without a v2 tree."""
    from pypod.kernel.cgroups.detect import UNIFIED
    from pypod.kernel.proc import parse_cgroup, read_text

    own = parse_cgroup(read_text("/proc/self/cgroup")).get("", "")
    if context.rootless or context.cgroups.mode != UNIFIED or not own or own.startswith("/.."):
        hint = "it takes root, and a host with cgroups v2 only"
        raise Unsupported("--cgroups", 'could not find cgroup mount in "/proc/self/cgroup"', hint=hint)
    # a second start from the same service: the first has moved nobody, since only leaves have processes
    return f"{own.rstrip('/').removesuffix(f'/{_SUPERVISOR}')}/libpod-payload-{identifier}"


def monitor_path(record: ContainerRecord, mode: str) -> str:
    """Return the path of the cgroup for a container's monitor with --cgroups=``mode``; empty for the caller's own."""
    if mode == "split":
        return f"{record.cgroup.rpartition('/')[0]}/{_SUPERVISOR}"
    return _MONITORS if mode == "enabled" else ""


def for_monitors(context: Context, path: str = _MONITORS) -> list[Effect]:
    """Return the effects that create a monitor's cgroup if it is missing; a user's is below their session's scope."""
    made = session.preparations(context)
    directory = supervised_from(context, path)
    if not directory or os.path.isdir(directory):
        return made
    return [*made, Effect(f"make cgroup {directory}", "cgroups(7)", lambda: context.cgroups.create(path))]


def bringing(context: Context) -> Callable[[int], object] | None:
    """Return the function to call with a supervisor's pid before it can join cgroups; None when none is needed."""
    from pypod.engine.core import scope

    return scope.bringing(context, _MONITORS) if context.rootless else None


def launching(context: Context) -> Launching:
    """Return a launcher in the monitors' cgroup, so that what it leaves running does not end with its caller."""
    from pypod.engine.core import effects
    from pypod.runtime import launcher

    effects.perform(for_monitors(context))
    program = context.programs.executable("launch")
    return launcher.Launching(program, "pypod-launch", group=monitors(context), bring=bringing(context))


def clear(context: Context, path: str) -> None:
    """Remove the cgroup at ``path``, killing whatever is in it.

    Removal is tried first: it succeeds only on an empty group, which nothing can enter afterwards, and killing is
    slower.
    """
    if path and not context.cgroups.remove(path, timeout_s=0):
        context.cgroups.kill(path)
        context.cgroups.remove(path)


class Group:
    """The cgroup of one run: ``settings`` are its own, ``above`` those of its pod, which is at ``pod_path``.

    It is created in the hierarchies of all their controllers, and of those that an update brought the pod into: a
    container outside of the pod's group in a hierarchy is not subject to the pod's limits there.
    """

    __slots__ = ("above", "accounted", "path", "pod_path", "settings", "updated")

    def __init__(
        self,
        path: str,
        settings: tuple[Setting, ...],
        pod_path: str,
        above: tuple[Setting, ...],
        accounted: tuple[str, ...],
        updated: tuple[str, ...] = (),
    ) -> None:
        self.path = path
        self.settings = settings
        self.pod_path = pod_path
        self.above = above
        self.accounted = accounted
        self.updated = updated

    @property
    def controllers(self) -> tuple[str, ...]:
        """The controllers that the limits need."""
        limited = (one.controller for one in (*self.above, *self.settings))
        # the files of every group (--cgroup-conf=cgroup.max.depth=1) need no controller
        return tuple(name for name in dict.fromkeys((*limited, *self.updated)) if name != _ANY_GROUP)

    @property
    def trees(self) -> tuple[str, ...]:
        """The controllers in whose hierarchies it is created, on v1."""
        return tuple(dict.fromkeys((*self.controllers, *self.accounted)))


def of_container(
    context: Context,
    record: ContainerRecord,
    limits: Limits | None,
    pod: PodSpec | None,
    further: tuple[Setting, ...] = (),
    named: tuple[str, ...] = (),
) -> Group:
    """Return the cgroup of a container, with podman's default of 2048 processes unless it sets a limit of its own.

    ``further`` are settings besides those of the limits, ``named`` are v1 trees without a controller.

    Raises Unsupported, naming the flag, for a limit that this host does not support.
    """
    if not record.cgroup:
        return Group("", (), "", (), ())
    settings = (*settings_of(context, limits, default_pids=True), *further)
    return _group(context, record, settings, pod, (*context.cgroups.accounted, *named))


def conf_settings(context: Context, conf: tuple[tuple[str, str], ...]) -> tuple[Setting, ...]:
    """Return the settings of --cgroup-conf. Raises InvalidSpec without a v2 tree of all controllers, Unsupported."""
    if not conf:
        return ()
    from pypod.kernel.cgroups.detect import UNIFIED
    from pypod.kernel.cgroups.settings import Setting

    if context.cgroups.mode != UNIFIED:
        raise InvalidSpec(_CONF_FLAG, "cannot use --cgroup-conf without cgroup v2")
    known = context.cgroups.controllers()
    found = []
    for file, text in conf:
        controller = file.partition(".")[0]
        if controller != _ANY_GROUP and controller not in known:
            raise Unsupported(controller, f"{_CONF_FLAG}: cgroup controller {controller} is not available on this host")
        found.append(Setting(controller, _CONF_FLAG, ((file, text),)))
    return tuple(found)


def of_infra(context: Context, record: ContainerRecord, pod: PodSpec) -> Group:
    """Return the cgroup of an infra: without limits of its own, inside the pod's."""
    return _group(context, record, (), pod, ())


def _group(
    context: Context,
    record: ContainerRecord,
    settings: tuple[Setting, ...],
    pod: PodSpec | None,
    accounted: tuple[str, ...],
) -> Group:
    pod_path = pod_group(record)
    above: tuple[Setting, ...] = ()
    updated: tuple[str, ...] = ()
    if pod is not None and pod.limits is not None and pod_path:
        above, updated = settings_of(context, pod.limits), context.cgroups.present(pod_path)
    return Group(record.cgroup, settings, pod_path, above, accounted, updated)


def pod_group(record: ContainerRecord) -> str:
    """Return the path of the pod's cgroup that contains a container's; empty when there is none."""
    parent = record.cgroup.rpartition("/")[0]
    return parent if record.pod_id and parent.endswith(f"/{record.pod_id}") else ""


def renewal(context: Context, group: Group) -> list[Effect]:
    """Return the effects that create the cgroup for a new run; whatever an earlier run left in it is killed.

    A killed monitor or a damaged status file leaves processes behind, which must not run beside the new ones. A cgroup
    also serves a single run: since Linux 6.14, a process cloned into a group that was ever killed dies at once
    (kill_seq in cgroup_css_set_fork, kernel/cgroup/cgroup.c).
    """
    path, cgroups = group.path, context.cgroups
    directory = cgroups.tracking_directory(path) if path else ""
    if not directory:
        return []
    left = []
    if os.path.exists(directory):
        killed = Effect(f"kill what is left in cgroup {directory}", "cgroups(7)", lambda: cgroups.kill(path))
        removed = Effect(f"remove cgroup {directory}", "cgroups(7)", lambda: cgroups.remove(path))
        left = [killed, removed]

    def make() -> None:
        cgroups.make_shown()
        cgroups.create(path, group.controllers, group.accounted)

    made = Effect(
        f"make cgroup {directory}{_with(group.trees)}",
        "cgroups(7)",
        make,
        undo=lambda: cgroups.remove(path),
    )
    limited = [_written(context, path, setting) for setting in group.settings]
    return [*left, *_of_pod(context, group), made, *limited]


def _with(trees: tuple[str, ...]) -> str:
    return f" with {', '.join(trees)}" if trees else ""


def _of_pod(context: Context, group: Group) -> list[Effect]:
    """Return the effects that create the pod's cgroup with its limits; none while it is in use, perhaps updated."""
    path = group.pod_path
    if not group.above or not context.cgroups.is_empty(path):
        return []
    controllers = tuple(dict.fromkeys(one.controller for one in group.above))
    directory = context.cgroups.tracking_directory(path)
    if not directory:
        return []
    made = Effect(
        f"make cgroup {directory}{_with(controllers)}", "cgroups(7)", lambda: context.cgroups.create(path, controllers)
    )
    return [made, *(_written(context, path, setting) for setting in group.above)]


def _written(context: Context, path: str, setting: Setting) -> Effect:
    file, text = setting.choices[0]
    where = f"{context.cgroups.directory(path, setting.controller)}/{file}"
    return Effect(f"write {text} into {where}", "cgroups(7)", lambda: context.cgroups.apply(path, setting))
