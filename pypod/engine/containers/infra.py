"""The infra of a pod: start and stop the process that holds the pod's namespaces."""

from __future__ import annotations

import os
import time

from pypod.engine.containers import pausing
from pypod.engine.core import announce, effects, kept_records, observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import Lock
from pypod.engine.networks import attachments, bridges, claims, etc_files, network_ops, published, user_network
from pypod.engine.resources import groups
from pypod.engine.session import id_maps, session
from pypod.errors import PodBroken
from pypod.kernel import idmap, pidfd
from pypod.kernel.abi import SIGINT, SIGKILL, SIGTERM
from pypod.model.ids import HOSTNAME_LIMIT
from pypod.runtime import launcher
from pypod.runtime.compiler import WHOLE_MAPS, Surroundings, infra_ops, plan
from pypod.runtime.ops import Op
from pypod.runtime.programs import path as program_path
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.engine.core.context import Context
    from pypod.engine.networks.attachments import Wire
    from pypod.model.pod import PodSpec
    from pypod.runtime.ops import Plan
    from pypod.store.records import ContainerRecord, PodRecord

_STOP_TIMEOUT_S = 1.0


def start_locked(context: Context, pod: PodRecord) -> None:
    """Start the infra of a pod, if it has one; nothing happens when it runs."""
    if pod.infra_id:
        with Boundary(f"start pod {pod.name}"), Lock(context.layout.pod(pod.id)) as lock, lock:
            start(context, pod, lock)


def stop_locked(context: Context, pod: PodRecord) -> None:
    """Stop the infra of a pod, if it has one."""
    if pod.infra_id:
        with Boundary(f"stop pod {pod.name}"), Lock(context.layout.pod(pod.id)) as lock, lock:
            stop(context, pod)


def start(context: Context, record: PodRecord, lock: Lock) -> None:
    """Start the infra unless it runs, and see to the pod's files; ``lock`` is the pod's.

    Raises PodBroken while members of an earlier infra live: there must never be two sets of namespaces in one pod.
    """
    directory = context.layout.container(record.infra_id)
    record = records.find_pod(context.database, record.id)
    if observe.container_state(directory, context.boot_id).running:
        infra = records.find_container(context.database, record.infra_id)
        files_of(context, record, infra, attachments.wires_of(context, infra.id)).perform()
        return
    require_no_members(context, record)
    sharing = claims.connecting(context)
    with Boundary(f"start pod {record.name}"), _launching(context) as launching, sharing, sharing:
        infra = records.find_container(context.database, record.infra_id)
        if infra.image_id:
            from pypod.engine.storage import drivers

            drivers.of(context)
        group = groups.of_infra(context, infra, context.pod_spec(record))
        effects.perform(preparations(context, infra, record, group))
        try:
            wires = attachments.attach(context, infra.id)
            effects.perform(bridges.preparations(context, attachments.networks_of(wires)))
            kept_records.keep(context, infra, record).perform()
            what = infra_plan(context, record, infra, wires, group)
            led = user_network.led(context, context.pod_spec(record))
            write = files_of(context, record, infra, wires).perform
            published.run(context, launching, what, lock, infra.id, led, write)
            attachments.settle(wires)
            published.redirect(context, context.pod_spec(record).ports, wires, has_begun=True)
        except BaseException:
            stop(context, record)  # it may have come up before its files failed
            attachments.detach(context, infra.id)
            context.cgroups.remove(infra.cgroup)
            raise


def _launching(context: Context) -> launcher.Launching:
    if context.rootless:  # a program for its network stays
        return groups.launching(context)
    return launcher.Launching(context.programs.executable("launch"), "pypod-launch", group="")


def require_no_members(context: Context, record: PodRecord, but: str = "") -> None:
    """Raise PodBroken while members of an earlier infra live, not counting the one with the id ``but``."""
    alive = [
        member.name
        for member in records.all_containers(context.database, pod_id=record.id)
        if member.id not in (record.infra_id, but)
        and observe.container_state(context.layout.container(member.id), context.boot_id).running
    ]
    if alive:
        raise PodBroken(
            record.name,
            "Broken",
            f"the infra container of pod {record.name} is gone and its namespaces live on in {', '.join(alive)} only",
            hint=f"pypod pod restart {record.name} stops them and makes the pod anew",
        )


def preparations(context: Context, infra: ContainerRecord, pod: PodRecord, group: groups.Group) -> list[effects.Effect]:
    """Return what has to be made before the plan, the infra's ``group`` among it."""
    own, spec = effects.directory(context.layout.container(infra.id)), context.pod_spec(pod)
    network = user_network.preparations(context, infra.id, spec)
    made = [*session.preparations(context), own, *network]
    if infra.image_id:
        from pypod.engine.storage import overlay

        directory, image = context.layout.container(infra.id), context.container_spec(infra)
        root = overlay.root_status(context.layout, image)
        driver = overlay.driver_of(context, image, directory)
        made += overlay.preparations(context, driver, image, directory, root, read_only=True)
    return [*made, *groups.renewal(context, group)]


def is_ready(context: Context, record: PodRecord) -> bool:
    """Return whether members can be started: the infra runs and the pod's files are there.

    The files are written while the infra starts, and whoever writes them can be killed.
    """
    return etc_files.are_complete(context.layout.pod(record.id)) and (
        observe.container_state(context.layout.container(record.infra_id), context.boot_id).running
    )


def files_of(
    context: Context, record: PodRecord, infra: ContainerRecord, wires: Sequence[Wire] = (), *, running: bool = False
) -> effects.Effect:
    """Return what writes the files that members share, for a pod that is connected by ``wires``."""
    spec = context.pod_spec(record)
    directory = context.layout.pod(record.id)
    names = (infra.name, spec.name)
    on_host = spec.net == "host"
    return etc_files.network_files(directory, spec, hostname_of(spec), names, wires, on_host=on_host, running=running)


def hostname_of(spec: PodSpec) -> str:
    """Return a pod's hostname: its name when none was asked for, as much of it as the kernel takes."""
    return spec.hostname or spec.name[:HOSTNAME_LIMIT]


def infra_plan(
    context: Context, record: PodRecord, infra: ContainerRecord, wires: tuple[Wire, ...], group: groups.Group
) -> Plan:
    """Return what a start of this pod's infra in ``group`` would do now, connected by ``wires``."""
    directory = context.layout.container(infra.id)
    spec = context.pod_spec(record)
    owner = records.parse_owner(record.owner)
    cgroups = context.cgroups
    own_session = session.of(context)
    maps = id_maps.maps_of(context, spec)
    around = Surroundings(
        target=context.layout.merged,
        keep_groups=own_session is not None and own_session.has_one_id,
        maps=(idmap.lines(maps[0]), idmap.lines(maps[1])) if maps else WHOLE_MAPS,
        ids=id_maps.root_of(maps),
        born_in=cgroups.tracking_directory(infra.cgroup) if cgroups.clones_into_cgroup else "",
        join_files=cgroups.join_files(infra.cgroup, group.trees),
        network=network_ops.inside_ops(context, spec, wires),
    )
    settings = session.ops(context, own_session)
    settings += [Op("status", f"{directory}/status", context.boot_id), Op("leave")]
    settings.append(announce.event_op(context, infra, record, end=""))
    settings += [Op("owner", owner.pid, owner.start_time)] if owner else []
    settings += network_ops.host_ops(context, infra.id, record.name, spec, wires, watched=False)
    if infra.image_id:
        from pypod.engine.containers.infra_image import image_ops

        image_spec = context.container_spec(infra)
        return plan(settings, image_ops(context, infra, image_spec, hostname_of(spec), around))
    pause = (program_path("pause"), "pypod-infra", *(("3",) if owner else ()))
    ops = infra_ops(
        spec.share,
        hostname=hostname_of(spec),
        shm_size_bytes=spec.shm_size_bytes,
        around=around,
        pause=(spec.infra_command[0], *spec.infra_command) if spec.infra_command else pause,
        sysctls=spec.sysctls,
        host_net=spec.net == "host",
    )
    return plan(settings, ops)


def kill(context: Context, record: PodRecord, number: int) -> bool:
    """Send a signal to the infra and record its end if that is one; the caller holds the pod's lock.

    Returns whether it ran.
    """
    directory = context.layout.container(record.infra_id)
    state = observe.container_state(directory, context.boot_id)
    fd = pidfd.open_process(state.pid, state.start_time) if state.status == "running" else None
    if fd is None:
        return False
    infra = records.find_container(context.database, record.infra_id)
    try:
        announce.container(context, announce.KILL, infra, record)
        pidfd.send_signal(fd, number)
        # its own program leaves on TERM and INT; one of the user's, on whatever it likes
        if pidfd.wait(fd, _STOP_TIMEOUT_S if number in (SIGKILL, SIGTERM, SIGINT) else 0):
            attachments.cut_off(context, infra.id)  # members may hear other signals than it
            _record_exit(context, record, infra, number if number == SIGKILL else 0)
    finally:
        os.close(fd)
    return True


def stop(context: Context, record: PodRecord) -> None:
    """Stop the infra and record that it was; the caller holds the pod's lock."""
    directory = context.layout.container(record.infra_id)
    state = observe.container_state(directory, context.boot_id)
    fd = pidfd.open_process(state.pid, state.start_time) if state.running else None
    if fd is None:
        return
    from pypod.engine.containers import patience

    late: list[int] = []
    try:
        if state.status == "paused":
            pausing.thaw(context, records.find_container(context.database, record.infra_id))
        request = patience.Request(
            context.proc,
            fd=fd,
            pid=state.pid,
            start_time=state.start_time,
            number=SIGTERM,
            patience_s=_STOP_TIMEOUT_S,
            starting_s=patience.STARTING_S,
        )
        request.advance()
        infra = records.find_container(context.database, record.infra_id)  # while it goes
        patience.wait([request], late.append)
        if late:
            pidfd.send_signal(fd, SIGKILL)
            pidfd.wait(fd, _STOP_TIMEOUT_S)
        status = SIGKILL if late else 0
    finally:
        os.close(fd)
    _record_exit(context, record, infra, status)


def _record_exit(context: Context, record: PodRecord, infra: ContainerRecord, status: int) -> None:
    """Write down what its supervisor, which left, cannot: ``status`` is 0 or the signal that killed it."""
    announce.container(context, announce.DIED, infra, record, exit_code=128 + status if status else 0)
    observe.record_exit(context.layout.container(record.infra_id), status, time.time_ns())
    attachments.detach(context, record.infra_id)
