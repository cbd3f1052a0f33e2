"""Start containers: from record and spec to a running process under a monitor."""

from __future__ import annotations

import os

from pypod.engine.containers import infra, joining, planning
from pypod.engine.containers.derived import hostname_of
from pypod.engine.containers.planning import Terminal
from pypod.engine.core import effects, kept_records, observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import EXCLUSIVE, SHARED, Lock
from pypod.engine.networks import attachments, bridges, claims, etc_files, published, user_network
from pypod.engine.resources import groups
from pypod.engine.session import id_maps, session
from pypod.engine.storage import mapped_layers, overlay, volumes
from pypod.errors import InvalidSpec, LaunchFailed, WrongState
from pypod.kernel.proc import read_text
from pypod.model.namespace import POD, PRIVATE
from pypod.runtime import launcher
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.engine.core.context import Context
    from pypod.engine.networks.attachments import Wire
    from pypod.engine.networks.port_holders import Led
    from pypod.engine.storage.drivers import Driver
    from pypod.model.container import ContainerSpec
    from pypod.runtime.ops import Plan
    from pypod.store.records import ContainerRecord, PodRecord

_ATTEMPTS = 3  # an infra may be stopped between its start and its member's


def start(
    context: Context, record: ContainerRecord, terminal: Terminal | None = None, *, attended: bool = False
) -> None:
    """Start a container; its pod's infra and those whose namespaces it joins first. Nothing to do when it runs already.

    ``attended`` says that the caller will wait for its end and remove it if it is to be removed.

    Raises WrongState, PodBroken, LaunchFailed and its kin; then nothing is left running.
    """
    for target in joining.stopped_targets(context, record):
        if target.kind == records.INFRA:
            infra.start_locked(context, records.find_pod(context.database, target.pod_id))
        else:
            start(context, target)
    if record.pod_id:
        _start_member(context, record, terminal, attended=attended)
    else:
        _start_locked(context, record, None, terminal, attended=attended)


def require_startable(context: Context, record: ContainerRecord) -> None:
    """Raise PodBroken when a member could not be started were it stopped now."""
    pod = records.find_pod(context.database, record.pod_id)
    if pod.infra_id and not infra.is_ready(context, pod):
        infra.require_no_members(context, pod, but=record.id)


def _start_member(context: Context, record: ContainerRecord, terminal: Terminal | None, *, attended: bool) -> None:
    directory = context.layout.pod(record.pod_id)
    for left in reversed(range(_ATTEMPTS)):
        with Boundary(f"start container {record.name}"), Lock(directory, SHARED) as lock, lock:
            pod = records.find_pod(context.database, record.pod_id)
            if not left or not pod.infra_id or infra.is_ready(context, pod):
                _start_locked(context, record, pod, terminal, attended=attended)
                return
        with Boundary(f"start container {record.name}"), Lock(directory, EXCLUSIVE) as lock, lock:
            infra.start(context, pod, lock)


def _start_locked(
    context: Context,
    record: ContainerRecord,
    pod: PodRecord | None,
    terminal: Terminal | None,
    *,
    attended: bool,
) -> None:
    directory = context.layout.container(record.id)
    with Boundary(f"start container {record.name}"), Lock(directory) as lock, lock:
        record = records.find_container(context.database, record.id)
        state = observe.container_state(directory, context.boot_id)
        if state.status == "paused":
            message = f"container {record.id} must be in Created or Stopped state to be started"
            hint = f"it is paused: pypod unpause {record.name}"
            raise WrongState(record.name, state.status, f"{message}: container state improper", hint=hint)
        if state.running:
            return
        spec = context.container_spec(record)
        effects.perform(groups.for_monitors(context))
        program, group = context.programs.executable("monitor"), groups.monitors(context)
        bring = groups.bringing(context)
        with (
            launcher.Launching(program, "pypod-monitor", group=group, bring=bring) as monitor,
            claims.connecting(context) as shared,
            shared,
        ):
            _run(context, record, spec, pod, terminal or Terminal(), monitor, lock, attended=attended)


def _run(
    context: Context,
    record: ContainerRecord,
    spec: ContainerSpec,
    pod: PodRecord | None,
    terminal: Terminal,
    monitor: launcher.Launching,
    lock: Lock,
    *,
    attended: bool,
) -> None:
    driver = overlay.driver_of(context, spec, context.layout.container(record.id), asking=True)
    effects.perform(preparations(context, record, spec, driver))
    try:
        wires = attachments.attach(context, record.id) if spec.net == PRIVATE else ()
        effects.perform(bridges.preparations(context, attachments.networks_of(wires)))
        effects.perform(files_of(context, record, spec, pod, wires))
        kept_records.keep(context, record, pod).perform()
        group = group_of(context, record, spec, pod)
        what = planning.container_plan(
            context, record, spec, pod, terminal, group, driver, attended=attended, wires=wires
        )
        effects.perform(groups.renewal(context, group))
        _launch(context, record, monitor, what, lock, user_network.led(context, spec))
        attachments.settle(wires)
        published.redirect(context, spec.ports, wires, has_begun=True)
    except BaseException:
        context.cgroups.remove(record.cgroup)
        if spec.net == PRIVATE:
            attachments.detach(context, record.id)
        raise


def _launch(
    context: Context,
    record: ContainerRecord,
    monitor: launcher.Launching,
    what: Plan,
    lock: Lock,
    led: Led,
) -> None:
    try:
        published.run(context, monitor, what, lock, record.id, led)
    except LaunchFailed as error:
        file = context.cgroups.oom_file(record.cgroup)
        counted = file and [line for line in read_text(file).splitlines() if line.startswith("oom_kill ")]
        if not counted or counted == ["oom_kill 0"]:
            raise
        message = "the kernel killed the first process for want of memory while it was being started"
        hint = "the limit of memory is too low, its own or its pod's"
        raise LaunchFailed(error.operation, error.call, error.errno, message=message, hint=hint) from error


def group_of(context: Context, record: ContainerRecord, spec: ContainerSpec, pod: PodRecord | None) -> groups.Group:
    """Return the cgroup of a run. Raises Unsupported for a limit that this host does not have."""
    return groups.of_container(context, record, spec.limits, context.pod_spec(pod) if pod is not None else None)


def preparations(
    context: Context, record: ContainerRecord, spec: ContainerSpec, driver: Driver | None
) -> list[effects.Effect]:
    """Return what has to be made before the plan: the directories and files that it names, for a root by ``driver``.

    Raises InvalidSpec when something of the host's is not there.
    """
    directory = context.layout.container(record.id)
    maps = id_maps.maps_for(context, spec)
    mapped = mapped_layers.with_mapped(context, spec, maps)
    root = overlay.root_status(context.layout, spec)
    for mount in spec.mounts:
        if mount.type != "volume" and mount.source and not os.path.lexists(mount.source):
            raise InvalidSpec(mount.argument, f"statfs {mount.source}: no such file or directory")
    made = [*session.preparations(context), *mapped_layers.preparations(context, mapped, maps)]
    made += overlay.preparations(context, driver, mapped, directory, root, maps)
    made += volumes.making(context, spec, maps)
    made += user_network.preparations(context, record.id, spec)
    if spec.privileged:
        made.append(etc_files.container_env(f"{directory}/containerenv", record.name, record.id, spec.image))
    return made


def files_of(
    context: Context,
    record: ContainerRecord,
    spec: ContainerSpec,
    pod: PodRecord | None,
    wires: Sequence[Wire],
    *,
    running: bool = False,
) -> list[effects.Effect]:
    """Return what writes a container's own /etc/hosts and its like, for one that is connected by ``wires``."""
    if spec.net == POD and record.pod_id:
        return []
    directory, hostname = context.layout.container(record.id), hostname_of(context, record, spec, pod)
    on_host = spec.net.mode == "host"
    names = (record.name,)
    return [etc_files.network_files(directory, spec, hostname, names, wires, on_host=on_host, running=running)]
