"""The handle of a pod."""

from __future__ import annotations

import os
from _collections_abc import Iterator, Sequence

from pypod.api import types
from pypod.api.container import Container
from pypod.api.default import opened
from pypod.api.handle import Handle
from pypod.api.signatures import takes
from pypod.engine.core import announce, observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import Lock
from pypod.errors import InvalidSpec, NoSuchPod, PodBroken, WrongState
from pypod.kernel.abi import SIGKILL, signal_number
from pypod.model.pod import BROKEN
from pypod.store import records, stored_specs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pypod.model.container import ContainerState
    from pypod.store.records import ContainerRecord


class Pod(Handle):
    """A pod: an engine and an id. Nothing is cached; everything is read from the store and the kernel each time.

    As a context manager, the pod is removed at the end of the block; if this process ends first, even by SIGKILL, the
    pod ends, too. Otherwise it stays until it is removed.

    >>> with Pod.create("mipod") as pod:                                           # doctest: +SKIP
    ...     pod.run(["sh", "-c", "hostname"], rootfs="/").wait()
    0
    """

    __slots__ = ()

    @classmethod
    @takes(lambda: types.NewPodOptions)
    def create(cls, asked: types.NewPodOptions) -> Pod:
        """Create a pod; see ``Pods.create``."""
        return opened(asked.engine).pods._create(asked)

    @classmethod
    def get(cls, ref: str, *, engine: types.Engine | None = None) -> Pod:
        """Return the pod with this name, id or id prefix. Raises NoSuchPod."""
        return opened(engine).pods.get(ref)

    @classmethod
    def list(cls, *, engine: types.Engine | None = None) -> list[Pod]:
        """Return all pods, oldest first."""
        return opened(engine).pods.list()

    @property
    def name(self) -> str:
        """The name, which never changes."""
        return self._name

    def record(self) -> types.PodRecord:
        """Return its row in the database. Raises NoSuchPod when it was removed."""
        try:
            return records.find_pod(self._engine.database, self.id)
        except NoSuchPod:
            raise NoSuchPod(self._name) from None

    def spec(self) -> types.PodSpec:
        """Return its specification."""
        return stored_specs.pod_spec(self.record())

    def state(self) -> types.PodState:
        """Return its current state."""
        from pypod.engine.containers import pods

        return pods.state_of(self._engine, self.record())

    @property
    def status(self) -> str:
        """Created, Running, Degraded, Exited, or Broken when the infra has died while members are still running."""
        return self.state().status

    def _container_state(self, identifier: str) -> ContainerState:
        return observe.container_state(self._engine.layout.container(identifier), self._engine.boot_id)

    def _members(self) -> Sequence[ContainerRecord]:
        found = records.all_containers(self._engine.database, pod_id=self.id)
        return [record for record in found if record.kind == records.CONTAINER]

    def containers(self) -> Sequence[Container]:
        """Return the members, oldest first; the infra is not included."""
        return [Container(self._engine, record.id, record.name) for record in self._members()]

    @property
    def infra(self) -> Container | None:
        """The infra container, None in a pod without one."""
        infra_id = self.record().infra_id
        if not infra_id:
            return None
        record = records.find_container(self._engine.database, infra_id)
        return Container(self._engine, record.id, record.name)

    @property
    def networks(self) -> Sequence[types.Network]:
        """The networks that it is configured to join, in order."""
        infra_container = self.infra
        return infra_container.networks if infra_container else ()

    @property
    def addresses(self) -> dict[str, tuple[str, ...]]:
        """Its addresses by network name, IPv4 first; empty when it is not running.

        >>> pod.addresses                                         # doctest: +SKIP
        {'podman': ('10.88.0.2',)}
        """
        from pypod.engine.networks.connections import addresses_of

        infra_container = self.infra
        return addresses_of(self._engine, infra_container.record()) if infra_container else {}

    @property
    def ports(self) -> tuple[types.Port, ...]:
        """The published ports that lead to it, that is, to its members.

        >>> pod.ports                                             # doctest: +SKIP
        (Port(container_port=80, host_port=8080, host_ip='', protocol='tcp', count=1),)
        """
        from pypod.engine.networks.ports import own_ports

        infra_container = self.infra
        return own_ports(self._engine, infra_container.record()) if infra_container else ()

    def interfaces(self) -> tuple[types.Interface, ...]:
        """Return the network interfaces that it has now, ``lo`` among them, by index.

        Raises WrongState when it does not run, or has no infra.

        >>> [one.name for one in pod.interfaces()]                 # doctest: +SKIP
        ['lo', 'eth0']
        """
        from pypod.engine.inspect.interfaces import of_process

        return of_process(self._engine, self._name, self._container_state(self._network_record().id))

    def _network_record(self) -> ContainerRecord:
        """Return the infra, which is connected on the pod's behalf. Raises WrongState when there is none."""
        record = self.record()
        if not record.infra_id:
            raise WrongState(self._name, "", f"pod {self._name} has no infra and no network of its own")
        return records.find_container(self._engine.database, record.infra_id)

    def start(self) -> None:
        """Start the infra and every member, its init containers first, each to its end.

        These are not run when the other members run already. Raises PodBroken when the infra has died while members
        are still running, WrongState when the pod has neither, or when an init container fails.
        """
        self._start(initialize=True)

    def _start(self, *, initialize: bool) -> None:
        from pypod.engine.lifecycle import infra, start

        record = self.record()
        infra.start_locked(self._engine, record)
        members = self._members()
        if not members and not record.infra_id:
            raise WrongState(
                self._name,
                self.status,
                f"no containers in pod {self.id} have no dependencies, cannot start pod: no such container",
            )
        if initialize and any(one.initializes for one in members):
            from pypod.engine.containers import init_containers

            init_containers.run(self._engine, members)
        for member in members:
            if not member.initializes:
                start.start(self._engine, member)
        announce.pod(self._engine, announce.START, record)

    def explain(self) -> types.Explanation:
        """Return the steps that ``start`` would take now, without taking any; ``print`` shows them.

        >>> print(pod.explain())                                # doctest: +SKIP
         1  python      make directory /var/lib/pypod/pods/...  [mkdir(2)]
        """
        from pypod.engine.lifecycle.explain import of_pod_start

        with Boundary(f"explain pod {self._name}"):
            return of_pod_start(self._engine, self.record())

    def start_infra(self) -> None:
        """Start only the infra, which creates the pod's namespaces."""
        from pypod.engine.lifecycle import infra

        infra.start_locked(self._engine, self.record())

    def stop_infra(self) -> None:
        """Stop only the infra."""
        from pypod.engine.lifecycle import infra

        infra.stop_locked(self._engine, self.record())

    def stop(self, timeout: float | None = None) -> None:
        """Stop every member and then the infra; ``timeout``, in seconds, overrides the members' own."""
        from pypod.engine.lifecycle import infra, stopping

        with Boundary(f"stop pod {self._name}"):
            record = self.record()
            announce.pod(self._engine, announce.STOP, record)
            stopping.stop_all(self._engine, self._members(), timeout)
            with Lock(self._engine.layout.pod(self.id)) as lock, lock:
                # a member started in between would be left in namespaces that can no longer be joined
                stopping.stop_all(self._engine, self._members(), timeout)
                if record.infra_id:
                    infra.stop(self._engine, record)

    def restart(self, timeout: float | None = None) -> None:
        """Stop everything and start it in new namespaces, but for the init containers; this recovers a Broken pod."""
        record = self.record()
        for one in records.all_containers(self._engine.database, pod_id=self.id):
            announce.container(self._engine, announce.RESTART, one, record)
        self.stop(timeout)
        self._start(initialize=False)

    def kill(self, signal: str | int = SIGKILL) -> None:
        """Send a signal to the infra and the init process of every member. Raises WrongState when none is running."""
        from pypod.engine.lifecycle import infra, stopping

        number = signal_number(signal)
        record = self.record()
        everyone = records.all_containers(self._engine.database, pod_id=self.id)
        running = [one for one in everyone if self._container_state(one.id).status in ("running", "stopping")]
        if not running:
            raise WrongState(self._name, self.status, f"no running containers in pod {self._name}")
        announce.pod(self._engine, announce.KILL, record)
        for one in running:
            if one.kind == records.CONTAINER:
                stopping.kill(self._engine, one, number)
        if any(one.kind == records.INFRA for one in running):
            with Boundary(f"kill pod {self._name}"), Lock(self._engine.layout.pod(self.id)) as lock, lock:
                infra.kill(self._engine, record, number)

    def pause(self) -> None:
        """Pause the infra and every running member. Raises WrongState when none is running."""
        from pypod.engine.lifecycle import pausing

        record = self.record()
        running = self._in_state(pausing.RUNNING)
        if not running:
            raise WrongState(self._name, self.status, f"no running containers in pod {self._name}")
        for one in running:
            pausing.pause(self._engine, one, record)
        announce.pod(self._engine, announce.PAUSE, record)

    def unpause(self) -> None:
        """Resume the infra and every paused member. Raises WrongState when none is paused."""
        from pypod.engine.lifecycle import pausing

        record = self.record()
        paused = self._in_state(pausing.PAUSED)
        if not paused:
            raise WrongState(self._name, self.status, f"no paused containers in pod {self._name}")
        for one in paused:
            pausing.unpause(self._engine, one, record)
        announce.pod(self._engine, announce.UNPAUSE, record)

    def _in_state(self, status: str) -> Sequence[ContainerRecord]:
        everyone = records.all_containers(self._engine.database, pod_id=self.id)
        return [one for one in everyone if self._container_state(one.id).status == status]

    @takes(lambda: types.LimitOptions)
    def update(self, limits: types.LimitOptions) -> None:
        """Change the limits of the whole pod, at once while it is running, and for every later start.

        The arguments are the limits that ``Pods.create`` takes; limits that are not given stay as they are. Raises
        InvalidSpec, also when the kernel refuses a value, or in a pod without --share-parent, and Unsupported for a
        limit that this host does not support.

        >>> pod.update(memory=256 << 20, cpus=1.5)                      # doctest: +SKIP
        """
        from pypod.engine.containers.updating import update_pod

        with Boundary(f"update pod {self._name}"):
            everyone = records.all_containers(self._engine.database, pod_id=self.id)
            update_pod(self._engine, self.record(), everyone, limits)

    @takes(lambda: types.ClonePodOptions)
    def clone(self, asked: types.ClonePodOptions) -> Pod:
        """Create a pod like it, with members like its own; return it. Nothing is started.

        Its ``name`` is by default that of this one with ``-clone``, and so are the names of the members. Other
        arguments are those of ``Pods.create`` in which it is to differ: labels, sysctls, volumes and limits are added
        to the original's, or replace those of the same name. Volumes are shared. A published port can be used by one
        of the two at a time. Raises what ``Pods.create`` raises; then there is neither a pod nor a member.

        >>> pod.clone("mipod2", memory=256 << 20)                       # doctest: +SKIP
        """
        return self._engine.pods._clone(self.record(), asked)

    def stats(self, interval: float = 1.0) -> Iterator[tuple[types.Stats, ...]]:
        """Yield the resource usage of the infra and the running members, at once and then every ``interval`` seconds.

        The iterator ends when none is running any more. See ``Container.stats``.
        """
        from pypod.engine.resources.stats import follow

        database = self._engine.database
        return follow(self._engine, lambda: records.all_containers(database, pod_id=self.record().id), interval)

    def top(self) -> Sequence[types.ContainerProcess]:
        """Return the processes of the infra and the running members, container by container; see ``Container.top``.

        Processes of a pid namespace that several containers share appear once.
        """
        from pypod.engine.inspect.processes import of_containers

        self.record()
        return of_containers(self._engine, records.all_containers(self._engine.database, pod_id=self.id))

    def remove(self, *, force: bool = False, timeout: float | None = None) -> None:
        """Remove the pod, its infra and its members. Does nothing if it no longer exists.

        Raises WrongState when a member is running and ``force`` is not given.
        """
        from pypod.engine.containers import pods

        try:
            record = self.record()
        except NoSuchPod:
            return
        members = self._members()
        running = [] if force else [one for one in members if self._container_state(one.id).running]
        if running:
            raise WrongState(
                self._name,
                "Running",
                f"pod {self.id} has containers that are not ready to be removed: cannot remove container "
                f"{running[0].id} as it is running - running or paused containers cannot be removed without force: "
                "container state improper",
            )
        pods.remove(self._engine, record, timeout)

    @takes(lambda: types.MemberOptions)
    def create_container(self, asked: types.MemberOptions) -> Container:
        """Create a member without starting it; see ``Containers.create``."""
        return self._engine.containers._create(asked, self)

    @takes(lambda: types.MemberOptions)
    def run(self, asked: types.MemberOptions) -> Container:
        """Create and start a member, starting the infra first if necessary; see ``Containers.run``."""
        return self._engine.containers._run(asked, self)

    def enter(self, *kinds: str) -> types.Entered:
        """Return a context manager that puts this thread into the pod's namespaces: ``with pod.enter("net"):``."""
        from pypod.engine.core.enter import enter

        infra_id = self.record().infra_id
        if not infra_id:
            raise WrongState(self._name, "", f"pod {self._name} has no infra and no namespaces of its own")
        shared = self.spec().share
        for kind in kinds:
            if kind not in shared:
                raise InvalidSpec("kinds", f"pod {self._name} does not share its {kind} namespace")
        state = self._container_state(infra_id)
        if not state.running and self.status == BROKEN:
            raise PodBroken(
                self._name,
                BROKEN,
                f"the infra container of pod {self._name} is gone: its namespaces cannot be entered",
                hint=f"pypod pod restart {self._name} creates new ones",
            )
        return enter(self._name, state, kinds)

    def namespaces(self) -> dict[str, dict[str, int]]:
        """Return the namespaces of the infra and the running members: kind -> name of the container -> inode."""
        table: dict[str, dict[str, int]] = {}
        infra_container = self.infra
        everyone = [*([infra_container] if infra_container else []), *self.containers()]
        for container in everyone:
            for kind, inode in container.namespaces().items():
                table.setdefault(kind, {})[container.name] = inode
        return table

    def matrix(self) -> types.Matrix:
        """Return which namespaces the host, the infra and the running members share. ``print`` shows a table.

        >>> print(pod.matrix())                               # doctest: +SKIP
        NAMESPACE  host  infra  a  b
        mnt        A     B      C  D
        net        A     B      B  B
        """
        from pypod.engine.inspect.sharing import pod_matrix

        return pod_matrix(self._engine, self.record())

    def picture(self) -> types.Picture:
        """Return a drawing of the pod's current state: ``print`` shows text, a notebook SVG. Raises NoSuchPod.

        >>> print(pod.picture())                              # doctest: +SKIP
        pod mipod (Running)
          infra: pid 4711: /pause
          web: pid 4713, watched by monitor 4712: httpd -f
          net     host A  infra B  web B
        """
        from pypod.engine.inspect.picture import of_pod

        return of_pod(self._engine, self.record())

    def _repr_html_(self) -> str:
        try:
            return self.picture()._repr_html_()
        except NoSuchPod:
            from pypod.display.markup import element

            return element("p", f"pod {self._name}: removed")

    def inspect(self) -> dict[str, types.Any]:
        """Return all its details, in podman's form."""
        from pypod.engine.inspect.pods import inspect_pod

        return inspect_pod(self._engine, self.record())

    def __enter__(self) -> types.Self:
        from pypod.engine.core import kept_records

        self._entered_by = os.getpid()
        records.set_owner(self._engine.database, "pods", self.id, self._engine.owner())
        for one in records.all_containers(self._engine.database, pod_id=self.id):
            kept_records.renew(self._engine, one.id)
        return self
