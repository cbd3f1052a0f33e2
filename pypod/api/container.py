"""The handle of a container."""

from __future__ import annotations

from _collections_abc import Iterator, Mapping, Sequence

from pypod.api import types
from pypod.api.copies import CopyMethods
from pypod.api.default import opened
from pypod.api.exec import ExecMethods
from pypod.api.files import FileMethods
from pypod.api.output import OutputMethods
from pypod.api.signatures import takes
from pypod.engine.core import announce, observe
from pypod.engine.core.boundary import Boundary
from pypod.errors import InvalidSpec, NoSuchContainer, WrongState
from pypod.kernel.abi import SIGKILL, signal_number
from pypod.store import dependencies, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pypod.store.records import ContainerRecord


class Container(ExecMethods, OutputMethods, FileMethods, CopyMethods):
    """A container: an engine and an id. Whatever can change is read from the store and the kernel each time.

    As a context manager, it is removed at the end of the block; if this process ends first, the container ends, too.

    >>> c = engine.containers.run(["sleep", "60"], rootfs="/")   # doctest: +SKIP
    >>> c.exec(["id", "-u"]).stdout                              # doctest: +SKIP
    b'0\\n'
    >>> c.remove(force=True)                                     # doctest: +SKIP
    """

    __slots__ = ()

    @classmethod
    def get(cls, ref: str, *, engine: types.Engine | None = None) -> Container:
        """Return the container with this name, id or id prefix. Raises NoSuchContainer."""
        return opened(engine).containers.get(ref)

    @classmethod
    def list(cls, *, all: bool = False, engine: types.Engine | None = None) -> list[Container]:
        """Return the running containers, oldest first; with ``all`` every container."""
        return opened(engine).containers.list(all=all)

    @classmethod
    @takes(lambda: types.AloneOptions)
    def create(cls, asked: types.AloneOptions) -> Container:
        """Create a container outside any pod without starting it; see ``Containers.create``."""
        return opened(asked.engine).containers._create(asked)

    @classmethod
    @takes(lambda: types.AloneOptions)
    def run(cls, asked: types.AloneOptions) -> Container:
        """Create and start a container outside any pod; see ``Containers.run``."""
        return opened(asked.engine).containers._run(asked)

    @property
    def name(self) -> str:
        """The name known to this handle; ``record().name`` is the current one if it was renamed elsewhere."""
        return self._name

    @property
    def created_ns(self) -> int:
        """The time of creation, in nanoseconds since the epoch. Raises NoSuchContainer when it was removed."""
        return self.record().created_ns

    def spec(self) -> types.ContainerSpec:
        """Return its specification."""
        return self._engine.container_spec(self.record())

    def state(self) -> types.ContainerState:
        """Return its current state. Raises NoSuchContainer when it was removed."""
        self.record()
        with Boundary(f"read the state of container {self._name}"):
            state = observe.container_state(self.directory, self._engine.boot_id)
        if state.status == "created":
            self.record()  # a container removed just now looks the same as one that was never started
        return state

    @property
    def pod(self) -> types.Pod | None:
        """The pod that it is a member of, None outside any pod."""
        pod_id = self.record().pod_id
        return self._engine.pods.get(pod_id) if pod_id else None

    @property
    def networks(self) -> Sequence[types.Network]:
        """The networks that it is configured to join, in order; for a member of a pod, the pod's."""
        from pypod.engine.networks.connections import networks_of

        get = self._engine.networks.get
        return tuple(get(identifier) for identifier, _ in networks_of(self._engine, self.record()))

    @property
    def addresses(self) -> dict[str, tuple[str, ...]]:
        """Its addresses by network name, IPv4 first; empty when it is not running.

        >>> container.addresses                                         # doctest: +SKIP
        {'podman': ('10.88.0.2',)}
        """
        from pypod.engine.networks.connections import addresses_of

        return addresses_of(self._engine, self.record())

    @property
    def ports(self) -> tuple[types.Port, ...]:
        """The published ports that lead to it, random ones as they were chosen; for a member of a pod, the pod's.

        >>> container.ports                                             # doctest: +SKIP
        (Port(container_port=80, host_port=8080, host_ip='', protocol='tcp', count=1),)
        """
        from pypod.engine.networks.ports import ports_of

        return ports_of(self._engine, self.record())

    def interfaces(self) -> tuple[types.Interface, ...]:
        """Return the network interfaces that it has now, ``lo`` among them, by index.

        Raises WrongState when it does not run.

        >>> [one.name for one in container.interfaces()]                 # doctest: +SKIP
        ['lo', 'eth0']
        """
        from pypod.engine.inspect.interfaces import of_process

        return of_process(self._engine, self._name, self.state())

    def _network_record(self) -> ContainerRecord:
        return self.record()

    def start(
        self,
        *,
        columns: int = 0,
        rows: int = 0,
        attended: bool = False,
        pass_fds: Sequence[int] | Mapping[int, int] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it and what it depends on: its pod's infra and the containers whose namespaces it joins.

        Does nothing if it is running. ``columns`` and ``rows`` are the size of its terminal. One that ``init`` has
        initialized takes no descriptors and variables any more.

        With ``attended`` it is the caller who attaches, waits for its end, and then removes it if it was created with
        ``remove``. The descriptors ``pass_fds`` become 3, 4 and so on there, or the keys of a mapping, and stay open
        here. ``environment`` are variables for this start alone.

        Raises LaunchFailed naming the kernel operation, CommandNotFound, CommandNotExecutable, PodBroken.
        """
        from pypod.engine.lifecycle import start

        record = self.record()
        if record.kind == records.INFRA:
            self._engine.pods.get(record.pod_id).start_infra()
            return
        caller = start.Caller(columns, rows)
        if pass_fds or environment:
            from pypod.engine.lifecycle import passing

            caller = start.Caller(columns, rows, passing.descriptors(pass_fds), passing.variables(environment))
        start.start(self._engine, record, caller, attended=attended)

    def init(self) -> None:
        """Do everything that a start does except running its program, for which it waits until ``start``.

        Its namespaces, mounts, cgroup and addresses are there then. As with ``start``, the infra of its pod is started
        first. Without a start, ``stop`` and ``remove`` end it, and ``cleanup`` undoes the initialization.

        Raises WrongState when it is initialized or running already, or a container whose namespaces it joins is not
        running; for an infra, Unsupported; and what ``start`` raises.
        """
        from pypod.engine.lifecycle import initializing

        initializing.initialize(self._engine, self.record())

    def explain(self, *, columns: int = 0, rows: int = 0, attended: bool = False) -> types.Explanation:
        """Return the steps ``start`` with these arguments would take now, without taking any; ``print`` shows them.

        >>> print(container.explain())                                  # doctest: +SKIP
         1  python      make directory /var/lib/pypod/containers/...  [mkdir(2)]
        """
        from pypod.engine.lifecycle.explain import of_start
        from pypod.engine.lifecycle.start import Caller

        with Boundary(f"explain container {self._name}"):
            return of_start(self._engine, self.record(), Caller(columns, rows), attended=attended)

    def oci_config(self) -> dict[str, types.Any]:
        """Return its configuration in the form of the OCI runtime specification, as a start would use it now.

        It is valid as the config.json of a bundle for any runtime. The root's ``path`` is where ``start`` mounts an
        image's layers, in the container's mount namespace only; files that it refers to are written by ``start``. A
        user given by name is in ``username``, which other runtimes do not look up.

        >>> container.oci_config()["process"]["args"]                   # doctest: +SKIP
        ['sleep', '1000']
        """
        from pypod.engine.lifecycle.start import oci_config

        return oci_config(self._engine, self.record())

    def stop(self, timeout: float | None = None) -> None:
        """Stop it: send the stop signal, then SIGKILL after ``timeout`` seconds (default: its own stop timeout).

        An init process that has been running for more than 2 s and neither handles, blocks nor ignores the signal is
        killed at once, since the signal would never reach it. The whole cgroup is gone afterwards. Does nothing if the
        container is not running. Raises WrongState when it is paused.
        """
        from pypod.engine.lifecycle import stopping

        if timeout is not None and timeout < 0:
            raise InvalidSpec("timeout", f"the timeout must not be negative: {timeout:g}")
        record = self.record()
        if record.kind == records.INFRA:
            self._engine.pods.get(record.pod_id).stop_infra()
            return
        with Boundary(f"stop container {self._name}"):
            stopping.stop(self._engine, record, timeout)

    def explain_stop(self, timeout: float | None = None) -> types.Explanation:
        """Return the steps ``stop`` with this argument would take now, without taking any; ``print`` shows them."""
        from pypod.engine.lifecycle.explain import of_stop

        return of_stop(self._engine, [self.record()], timeout)

    def restart(self, timeout: float | None = None) -> None:
        """Stop and start it. Raises PodBroken, before stopping anything, when it could not be started again."""
        from pypod.engine.lifecycle.start import require_startable

        record = self.record()
        if record.pod_id and record.kind == records.CONTAINER:
            require_startable(self._engine, record)
        status = self.state().status
        if status == "paused":
            message = "unable to restart a container in a paused or unknown state: container state improper"
            raise WrongState(self._name, "paused", message, hint=f"pypod unpause {self._name}")
        announce.container(self._engine, announce.RESTART, record)
        if status != observe.INITIALIZED:  # which has nothing to stop
            self.stop(timeout)
        self.start()

    def kill(self, signal: str | int = SIGKILL) -> None:
        """Send a signal to its init process. Raises WrongState when it is not running."""
        from pypod.engine.lifecycle import stopping

        number = signal_number(signal)
        with Boundary(f"kill container {self._name}"):
            stopping.kill(self._engine, self.record(), number)

    def pause(self) -> None:
        """Freeze all its processes until ``unpause``. They are not notified.

        Raises WrongState when it is not running, Unsupported where the host cannot freeze a cgroup.
        """
        from pypod.engine.lifecycle import pausing

        pausing.pause(self._engine, self.record())

    def unpause(self) -> None:
        """Resume its processes. Raises WrongState when it is not paused."""
        from pypod.engine.lifecycle import pausing

        pausing.unpause(self._engine, self.record())

    def mount(self) -> str:
        """Mount its root file system on the host and return the path, running or not, until ``unmount``.

        What is mounted inside, volumes among them, is not part of it. If it is mounted already, the path is the same.
        Raises PermissionDenied for a user outside of ``pypod unshare``.

        >>> container.mount()                                           # doctest: +SKIP
        '/var/lib/pypod/containers/.../merged'
        """
        from pypod.engine.containers.mounting import mount

        with Boundary(f"mount container {self._name}"):
            path, is_new = mount(self._engine, self.record().id)
        if is_new:
            announce.container(self._engine, announce.MOUNT, self.record())
        return path

    @property
    def mount_point(self) -> str:
        """The path where ``mount`` has mounted its root; empty when it is not mounted."""
        from pypod.engine.storage.mount_points import mounted_roots

        return mounted_roots(self._engine, [self.id]).get(self.id, "")

    def unmount(self) -> bool:
        """Undo ``mount``; return whether it was mounted. The container itself keeps running with its root."""
        from pypod.engine.containers.mounting import unmount

        with Boundary(f"unmount container {self._name}"):
            was_mounted = unmount(self._engine, self.record().id)
        if was_mounted:
            announce.container(self._engine, announce.UNMOUNT, self.record())
        return was_mounted

    def rename(self, name: str) -> None:
        """Rename it, running or not; on networks with DNS, a running container is found by the new name at once.

        Raises InvalidSpec for an invalid name, AlreadyExists for a name in use.

        >>> container.rename("web-old")                                 # doctest: +SKIP
        """
        from pypod.engine.core import announce, kept_records
        from pypod.model.ids import check_name

        check_name(name, "NAME")
        database = self._engine.database
        with Boundary(f"rename container {self._name}"):
            with database.transaction() as connection, connection:
                records.rename_container(connection, self.record(), name)
            kept_records.renew(self._engine, self.id)
        self._name = name
        announce.container(self._engine, announce.RENAME, self.record())

    @takes(lambda: types.UpdateOptions)
    def update(self, asked: types.UpdateOptions) -> None:
        """Change its limits and its restart policy, at once, and its environment for what is started in it from now on.

        All last over later starts. The arguments are the limits among the options of ``Containers.create``:
        ``memory``, ``cpus`` and so on, ``restart``, and ``environment`` and ``unsetenv``; what is not given stays as it
        is. Raises InvalidSpec, also when the kernel refuses a value or the processes hold more memory, and Unsupported
        for a limit that this host does not support.

        >>> container.update(memory=64 << 20, environment={"A": "1"})   # doctest: +SKIP
        """
        from pypod.engine.containers.updating import update

        with Boundary(f"update container {self._name}"):
            update(self._engine, self.record(), asked)

    @takes(lambda: types.CloneOptions)
    def clone(self, asked: types.CloneOptions) -> Container:
        """Create a container like it, with other limits where they are given; return it. It is not started.

        Its ``name`` is by default that of this one with ``-clone``. The command stays the same with another ``image``.
        In another ``pod`` it joins what the pod shares and loses its own, such as published ports. Files that were
        written to the root are not copied; volumes are shared. Raises what ``Containers.create`` raises.

        >>> container.clone("web2", memory=64 << 20)                    # doctest: +SKIP
        """
        return self._engine.containers._clone(self.record(), asked)

    def stats(self, interval: float = 1.0) -> Iterator[types.Stats]:
        """Yield its resource usage, at once and then every ``interval`` seconds, for as long as it is running.

        ``cpu_percent`` of the first sample covers the time since its start, of each later one since the one before.

        >>> next(container.stats()).memory_bytes                        # doctest: +SKIP
        917504
        """
        from pypod.engine.resources.stats import follow

        def records_now() -> list[ContainerRecord]:
            return [self.record()]

        return (one for look in follow(self._engine, records_now, interval) for one in look)

    def top(self) -> Sequence[types.ContainerProcess]:
        """Return the processes in its pid namespace, by pid, read from the host's /proc.

        Raises WrongState unless it is running.

        >>> [(one.pid, one.user, one.comm) for one in container.top()]   # doctest: +SKIP
        [(1, 'root', 'sleep')]
        """
        from pypod.engine.inspect.processes import of_container

        return of_container(self._engine, self.record())

    def remove(self, *, force: bool = False, timeout: float | None = None, volumes: bool = True) -> None:
        """Remove it; with ``force`` stop it first. Does nothing if it no longer exists.

        Its anonymous volumes are removed, too, unless another container uses them or ``volumes`` is False.

        Raises WrongState when it is running and ``force`` is not given.
        """
        from pypod.engine.lifecycle import stopping

        try:
            record = self.record()
        except NoSuchContainer:
            return
        if record.kind == records.INFRA:
            from pypod.errors import InUse

            raise InUse(
                record.name,
                f"container {record.id} is the infra container of pod {record.pod_id} and cannot be removed without "
                "removing the pod",
            )
        stopping.remove(self._engine, record, force=force, timeout_s=timeout, volumes=volumes)

    def cleanup(self, *, remove: bool = False) -> None:
        """Release what is left of it after its end: addresses, ports, cgroup, file systems of volumes.

        With ``remove`` it is removed. Raises WrongState when it is running.
        """
        from pypod.engine.containers.cleaning import clean_up

        if remove:
            try:
                self.remove()
            except WrongState as error:
                error.message = f"failed to clean up and remove container {self.id}: {error.message}"
                raise
            return
        with Boundary(f"clean up container {self._name}"):
            clean_up(self._engine, self.record().id)

    def cleanup_exec(self, session: str) -> None:
        """Clean up after the exec with this id: nothing is kept of one that has ended, so it raises WrongState."""
        from pypod.engine.containers.cleaning import require_ended_exec

        require_ended_exec(self._engine, self.record().id, session)

    def dependents(self) -> tuple[Container, ...]:
        """Return the containers that were created to join a namespace of this one, or require it, oldest first."""
        found = dependencies.dependents(self._engine.database, self.id)
        return tuple(Container(self._engine, one.id, one.name) for one in found if one.kind == records.CONTAINER)

    def enter(self, *kinds: str) -> types.Entered:
        """Return a context manager that puts this thread into its namespaces: ``with c.enter("net", "uts"):``.

        Raises InvalidSpec for kinds that a thread cannot enter (mnt, user), WrongState when it is not running.
        """
        from pypod.engine.core.enter import enter

        return enter(self._name, self.state(), kinds)

    def namespaces(self) -> dict[str, int]:
        """Return the inode of each of its namespaces by kind; empty when it is not running."""
        state = self.state()
        found = self._engine.proc.namespaces(state.pid) if state.alive else None
        return {kind: inode for kind, (_, inode) in (found or {}).items()}

    def _repr_html_(self) -> str:
        from pypod.engine.inspect.picture import container_html

        return container_html(self._engine, self.id, self._name)

    def inspect(self, *, size: bool = False) -> dict[str, types.Any]:
        """Return all its details, in podman's form; with ``size`` also those of its writable layer and image."""
        from pypod.engine.inspect.containers import inspect_container

        record = self.record()
        found = inspect_container(self._engine, record)
        if not size:
            return found
        from pypod.engine.containers.differences import image_bytes, writable_bytes

        # before the mounts, as in podman
        before = list(found).index("Mounts")
        items = list(found.items())
        items[before:before] = [
            ("SizeRw", writable_bytes(self._engine, self.directory)),
            ("SizeRootFs", image_bytes(self._engine, record.image_id)),
        ]
        return dict(items)

    def healthcheck(self) -> bool:
        """Run its health check and record the result; return whether it succeeded.

        Raises InvalidSpec when it has none, WrongState when it is not running.
        """
        from pypod.engine.containers.health import check

        with Boundary(f"check container {self._name}"):
            return check(self._engine, self.record())

    def __enter__(self) -> types.Self:
        from pypod.engine.containers.attach import Attachment
        from pypod.engine.core import kept_records

        owner = self._engine.owner()
        self._entered_by = owner.pid
        records.set_owner(self._engine.database, "containers", self.id, owner)
        kept_records.renew(self._engine, self.id)
        try:
            client = Attachment(self.directory, self._name)
        except WrongState:  # not running: the next start passes the owner to its monitor
            return self
        client.own(owner.start_time)
        client.close()
        return self
