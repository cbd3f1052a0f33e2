"""Start containers. A start is resolved once, into a value, whose steps are performed here or explained."""

from __future__ import annotations

import os

from pypod.engine.core import effects, kept_records, observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.effects import Undoing
from pypod.engine.core.locks import EXCLUSIVE, SHARED, Lock
from pypod.engine.lifecycle import files, infra, joining, restarts
from pypod.engine.lifecycle.derived import hostname_of
from pypod.engine.lifecycle.performing import perform
from pypod.engine.lifecycle.plan import configuration, container_plan
from pypod.engine.lifecycle.steps import Launch, monitor
from pypod.engine.networks import attachments, bridges, claims, detaching, etc_files, network_ops, user_network
from pypod.engine.networks.running import networks_of
from pypod.engine.resources import groups
from pypod.engine.session import id_maps, session
from pypod.engine.storage import mapped_layers, overlay
from pypod.engine.storage.sources import require_sources
from pypod.errors import LaunchFailed, WrongState
from pypod.kernel.proc import read_text
from pypod.model.mount import VOLUME
from pypod.model.namespace import PRIVATE
from pypod.model.value import Value
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from pypod.engine.configuration.hooks import Hook
    from pypod.engine.core.context import Context
    from pypod.engine.lifecycle.special_mounts import SpecialMounts
    from pypod.engine.lifecycle.steps import Step
    from pypod.engine.networks.running import Attachment
    from pypod.engine.session.id_maps import Maps
    from pypod.engine.session.session import Session
    from pypod.engine.storage.drivers import Driver
    from pypod.engine.storage.volumes import Volumes
    from pypod.kernel.cgroups.settings import Setting
    from pypod.kernel.pidfd import Process
    from pypod.model.container import ContainerSpec, ContainerState
    from pypod.model.pod import PodSpec
    from pypod.runtime.compiler.surroundings import Join
    from pypod.store.records import ContainerRecord, PodRecord

_NOT_STARTABLE = {"paused": "it is paused: pypod unpause {}", "stopping": "it is being stopped: pypod wait {}"}
_ATTEMPTS = 3  # the infra may be stopped between its own start and that of the member


class Caller:
    """What a start gets from its caller.

    ``columns`` and ``rows`` are the initial size of the container's terminal in characters; 0 leaves it to the kernel.
    ``pass_fds`` are descriptors of the caller, each after its number there; ``environment`` are variables for this
    start alone. With ``initialize`` the process waits before its exec for a later start.
    """

    def __init__(
        self,
        columns: int = 0,
        rows: int = 0,
        pass_fds: tuple[tuple[int, int], ...] = (),
        environment: tuple[tuple[str, str], ...] = (),
        *,
        initialize: bool = False,
    ) -> None:
        self.columns = columns
        self.rows = rows
        self.pass_fds = pass_fds
        self.environment = environment
        self.initialize = initialize


class Start(Value):
    """A resolved start of a container that has not been performed.

    ``maps`` are those of the user namespace that it creates or joins, None for the surrounding one; ``mapped`` is the
    specification with the layers whose owners are mapped accordingly. ``driver`` provides its root file system, which
    gets the owner and mode of ``root``. ``volumes`` are those that it mounts, ``special`` its mounts that need more
    than a bind. ``joins`` are the namespaces that it enters, ``shm_of`` is the process whose /dev/shm it shares.
    ``attended``: the caller waits for its end and removes it, if it is to be removed. ``shown`` are the host paths of
    its /etc/hosts and /etc/resolv.conf, empty where those of its root show. ``hooks`` are run around its start and end.
    """

    context: Context
    record: ContainerRecord
    spec: ContainerSpec
    pod: PodRecord | None
    pod_spec: PodSpec | None
    directory: str
    hostname: str
    session: Session | None
    maps: Maps | None
    mapped: ContainerSpec
    root: os.stat_result
    driver: Driver | None
    volumes: Volumes | None
    special: SpecialMounts | None
    group: groups.Group
    joins: tuple[Join, ...]
    shm_of: Process | None
    caller: Caller
    attended: bool
    shown: tuple[str, str]
    hooks: tuple[Hook, ...]

    @classmethod
    def resolve(
        cls,
        context: Context,
        record: ContainerRecord,
        spec: ContainerSpec,
        pod: PodRecord | None,
        caller: Caller | None = None,
        *,
        attended: bool = False,
        infra: Process | None = None,
        asking: bool = False,
        connected: bool = False,
    ) -> Self:
        """Resolve a start of this container as of now.

        ``infra`` is its pod's, if already known, or a placeholder for one that is not running yet. With ``asking``,
        storage drivers that have not been probed yet are; ``connected`` is as in ``files.shown``. Raises InvalidSpec
        when a path on the host does not exist, Unsupported for a limit that the host does not support, PodBroken,
        WrongState.
        """
        directory = context.layout.container(record.id)
        pod_spec = context.pod_spec(pod) if pod is not None else None
        driver = overlay.driver_of(context, spec, directory, asking=asking)
        maps = id_maps.maps_for(context, spec)
        root = overlay.root_status(context.layout, spec)
        require_sources(spec.mounts)
        if spec.secrets:
            from pypod.engine.storage import secrets

            secrets.require_content(context, record.id, spec)
        volumes = _volumes(context, spec, maps)
        joins, infra = joining.joins(context, spec, pod, infra)
        return cls(
            context=context,
            record=record,
            spec=spec,
            pod=pod,
            pod_spec=pod_spec,
            directory=directory,
            hostname=hostname_of(record, spec, pod_spec),
            session=session.of(context),
            maps=maps,
            mapped=mapped_layers.with_mapped(context, spec, maps),
            root=root,
            driver=driver,
            volumes=volumes,
            special=_special(context, spec, directory, maps, volumes),
            group=groups.of_container(
                context,
                record,
                spec.limits,
                pod_spec,
                _settings(context, spec, driver),
                context.cgroups.named if spec.systemd else (),
            ),
            joins=joins,
            shm_of=joining.shm_of(context, spec, infra),
            caller=caller or Caller(),
            attended=attended,
            shown=files.shown(context, record, spec, pod_spec, connected=connected),
            hooks=_hooks(spec),
        )

    @property
    def all_maps(self) -> Maps | None:
        """The id maps of its processes: its own user namespace's, or the session's; None for the host's ids."""
        return self.maps or (self.session.maps if self.session else None)

    @property
    def limits_devices(self) -> bool:
        """Whether it may use some devices only: otherwise it has no others, and cannot make any."""
        return _limits_devices(self.spec)

    @property
    def without(self) -> tuple[str, ...]:
        """The files of /etc that it does not get from us."""
        return files.left_out(self.spec, *self.shown)

    @property
    def is_connected(self) -> bool:
        """Whether it has a network namespace of its own that can be connected to networks."""
        return self.spec.net == PRIVATE

    def steps(self, attached: tuple[Attachment, ...]) -> list[Step]:
        """Return the steps in order, for a container with these attachments."""
        context, record, spec = self.context, self.record, self.spec
        launch = Launch(
            monitor(context, record, spec),
            lambda: container_plan(self, attached),
            identifier=record.id,
            forwarded=user_network.forwarded(context, spec),
        )
        return [
            *mapped_layers.preparations(context, self.mapped, self.maps),
            *overlay.preparations(
                context, self.driver, self.mapped, self.directory, self.root, self.maps, without=self.without
            ),
            *(self.volumes.preparations() if self.volumes else ()),
            *(self.special.preparations() if self.special else ()),
            *user_network.preparations(context, record.id, spec),
            *self._container_env(),
            *self._bundle(),
            *files.localtime(self.directory, spec),
            *bridges.preparations(context, networks_of(attached)),
            *files.of_container(context, record, spec, self.pod_spec, attached),
            kept_records.keep(context, record, self.pod, networks_of(attached)),
            *restarts.forgetting(self.directory, spec),
            *groups.renewal(context, self.group),
            launch,
            *(self.volumes.conclusions() if self.volumes else ()),
            *network_ops.once_running(context, spec, attached),
        ]

    def _bundle(self) -> list[effects.Effect]:
        """Return what hooks find at the ``bundle`` of a container's state: its configuration."""
        if not self.hooks:
            return []
        from pypod.engine.core.effects import Effect
        from pypod.model import plain_json

        def write() -> None:
            with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(plain_json.dumps(configuration(self)))

        path = f"{self.directory}/config.json"
        return [Effect(f"write {path} for hooks", "open(2)", write)]

    def _container_env(self) -> list[effects.Effect]:
        if not self.spec.privileged:  # these share one empty file
            return []
        path = f"{self.directory}/containerenv"
        return [etc_files.container_env(path, self.record, rootless=self.context.rootless)]


def _hooks(spec: ContainerSpec) -> tuple[Hook, ...]:
    if not spec.hooks_directories:
        return ()
    from pypod.engine.configuration import hooks

    return hooks.of_container(spec.hooks_directories, spec)


def _volumes(context: Context, spec: ContainerSpec, maps: Maps | None) -> Volumes | None:
    if not any(mount.type == VOLUME for mount in spec.mounts):
        return None
    from pypod.engine.storage.volumes import Volumes

    return Volumes(context, spec, maps)


def _special(
    context: Context, spec: ContainerSpec, directory: str, maps: Maps | None, volumes: Volumes | None
) -> SpecialMounts | None:
    if not spec.mounts:
        return None
    from pypod.engine.lifecycle.special_mounts import SpecialMounts, is_special

    return SpecialMounts(context, spec, directory, maps, volumes) if any(map(is_special, spec.mounts)) else None


def start(context: Context, record: ContainerRecord, caller: Caller | None = None, *, attended: bool = False) -> None:
    """Start a container unless it is running; its pod's infra and the containers it joins are started first.

    ``attended``: the caller waits for its end and removes it, if it is to be removed.

    Raises WrongState, PodBroken, LaunchFailed and its subclasses; then nothing is left running.
    """
    for target in joining.stopped_targets(context, record):
        if target.kind == records.INFRA:
            infra.start_locked(context, records.find_pod(context.database, target.pod_id))
        else:
            start(context, target)
    if record.pod_id:
        _start_member(context, record, caller, attended=attended)
    else:
        _start_locked(context, record, None, caller, attended=attended)


def _limits_devices(spec: ContainerSpec) -> bool:
    asked = spec.device_rules or any(one.access != "rwm" for one in spec.devices)
    return bool(asked or "CAP_MKNOD" in spec.capabilities) and not spec.privileged


def _settings(context: Context, spec: ContainerSpec, driver: Driver | None) -> tuple[Setting, ...]:
    """Return the settings of its cgroup besides those of the limits."""
    asked = groups.conf_settings(context, spec.cgroup_conf)
    if context.cgroups.filters_devices or not _limits_devices(spec):
        return asked
    from pypod.engine.lifecycle.device_access import settings

    return (*asked, *settings(context, spec, driver))


def oci_config(context: Context, record: ContainerRecord) -> dict[str, Any]:
    """Return the OCI configuration that a start of a container would have now. Raises what ``start`` raises."""
    with Boundary(f"configuration of container {record.name}"):
        pod = records.find_pod(context.database, record.pod_id) if record.pod_id else None
        return configuration(Start.resolve(context, record, context.container_spec(record), pod))


def require_startable(context: Context, record: ContainerRecord) -> None:
    """Raise PodBroken when a member could not be started again if it were stopped now."""
    pod = records.find_pod(context.database, record.pod_id)
    if pod.infra_id and not infra.ready(context, pod):
        infra.require_no_members(context, pod, records.all_containers(context.database, pod_id=pod.id), but=record.id)


def _start_member(context: Context, record: ContainerRecord, caller: Caller | None, *, attended: bool) -> None:
    directory = context.layout.pod(record.pod_id)
    for left in reversed(range(_ATTEMPTS)):
        with Boundary(f"start container {record.name}"), Lock(directory, SHARED) as lock, lock:
            pod = records.find_pod(context.database, record.pod_id)
            holder = infra.ready(context, pod) if pod.infra_id else None
            if not left or not pod.infra_id or holder:
                _start_locked(context, record, pod, caller, attended=attended, holder=holder)
                return
        with Boundary(f"start container {record.name}"), Lock(directory, EXCLUSIVE) as lock, lock:
            infra.start(context, pod, lock)


def _start_locked(
    context: Context,
    record: ContainerRecord,
    pod: PodRecord | None,
    caller: Caller | None,
    *,
    attended: bool,
    holder: Process | None = None,
) -> None:
    directory = context.layout.container(record.id)
    with Boundary(f"start container {record.name}"), Lock(directory) as lock, lock:
        record = records.find_container(context.database, record.id)
        state = observe.container_state(directory, context.boot_id)
        if state.alive:
            _continue(context, record, state, caller, attended=attended)
            return
        spec = context.container_spec(record)
        program = monitor(context, record, spec)
        effects.perform(program.preparations(context))
        with program.start(context) as launching, claims.connecting(context) as shared, shared, Undoing() as undoing:
            launching.passed = tuple(fd for _, fd in caller.pass_fds) if caller else ()
            begun = Start.resolve(context, record, spec, pod, caller, attended=attended, infra=holder, asking=True)
            attached = _connect(begun, undoing)
            try:
                perform(context, begun.steps(attached), undoing, launching, lock)
            except LaunchFailed as error:
                _refuse_for_want_of_memory(context, record, error)
                overlay.explain_refusal(context, spec, error)
                raise
            undoing.keep()


def already_initialized(record: ContainerRecord, state: ContainerState) -> WrongState:
    """Return the error for a container that is to be initialized a second time."""
    message = f"container {record.id} has already been created in runtime: container state improper"
    return WrongState(record.name, state.status, message)


def _continue(
    context: Context, record: ContainerRecord, state: ContainerState, caller: Caller | None, *, attended: bool
) -> None:
    """Start an initialized container; nothing is to be done for one that is running."""
    if caller is not None and caller.initialize:
        raise already_initialized(record, state)
    if state.status in _NOT_STARTABLE:
        message = f"container {record.id} must be in Created or Stopped state to be started"
        hint = _NOT_STARTABLE[state.status].format(record.name)
        raise WrongState(record.name, state.status, f"{message}: container state improper", hint=hint)
    if state.status == observe.INITIALIZED:
        from pypod.engine.lifecycle import releasing

        releasing.release(context, record, caller, attended=attended)


def _connect(begun: Start, undoing: Undoing) -> tuple[Attachment, ...]:
    if not begun.is_connected:
        return ()
    undoing.add(lambda: detaching.detach(begun.context, begun.record.id))
    return attachments.attach(begun.context, begun.record.id)


def _refuse_for_want_of_memory(context: Context, record: ContainerRecord, error: LaunchFailed) -> None:
    """Raise a LaunchFailed that says so, if the kernel's OOM killer has killed in the cgroup being entered."""
    file = context.cgroups_of(record).oom_file(record.cgroup)
    counted = file and [line for line in read_text(file).splitlines() if line.startswith("oom_kill ")]
    if counted and counted != ["oom_kill 0"]:
        message = "the kernel killed the first process for want of memory while it was being started"
        hint = "the memory limit of the container or of its pod is too low"
        raise LaunchFailed(error.operation, error.call, error.errno, message=message, hint=hint) from error
