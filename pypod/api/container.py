"""A container: the handle that is held."""

from __future__ import annotations

import os
import time
from _collections_abc import Callable, Iterator, Mapping, Sequence

from pypod.api import types
from pypod.api.default import opened
from pypod.api.signatures import takes
from pypod.engine.core import announce, observe
from pypod.engine.core.boundary import Boundary
from pypod.errors import DeadlineExceeded, InvalidSpec, NoSuchContainer, WrongState
from pypod.kernel import pidfd
from pypod.kernel.abi import SIGKILL, signal_number
from pypod.model import ids
from pypod.store import dependencies, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pypod.engine.lifecycle.exec import ExecSpec
    from pypod.model.container import ContainerState
    from pypod.store.records import ContainerRecord

_CREATED_POLL_S = 0.01


class Container:
    """One container: an engine and an id. Nothing that can change is cached: it is asked of the store and the kernel.

    As a context manager it is removed at the end of the block, and ends with this process if the block never does.

    >>> c = engine.containers.run(["sleep", "60"], rootfs="/")   # doctest: +SKIP
    >>> c.exec(["id", "-u"]).stdout                              # doctest: +SKIP
    b'0\\n'
    >>> c.remove(force=True)                                     # doctest: +SKIP
    """

    __slots__ = ("_engine", "_entered_by", "_name", "id")

    def __init__(self, engine: types.Engine, identifier: str, name: str) -> None:
        self._engine = engine
        self.id = identifier
        self._name = name
        self._entered_by = os.getpid()

    @classmethod
    def get(cls, ref: str, *, engine: types.Engine | None = None) -> Container:
        """Return the container that a name, an id or the beginning of one names. Raises NoSuchContainer."""
        return opened(engine).containers.get(ref)

    @classmethod
    def list(cls, *, all: bool = False, engine: types.Engine | None = None) -> list[Container]:
        """Return the running containers, the oldest first; with ``all`` every one."""
        return opened(engine).containers.list(all=all)

    @classmethod
    @takes(lambda: types.AloneOptions)
    def create(cls, asked: types.AloneOptions) -> Container:
        """Create a container outside of any pod, not started yet. See ``Containers.create``."""
        return opened(asked.engine).containers._create(asked)

    @classmethod
    @takes(lambda: types.AloneOptions)
    def run(cls, asked: types.AloneOptions) -> Container:
        """Create and start a container outside of any pod. See ``Containers.run``."""
        return opened(asked.engine).containers._run(asked)

    @property
    def name(self) -> str:
        """The name that it was found by; ``record().name`` is the one it has now, if somebody renamed it."""
        return self._name

    @property
    def created_ns(self) -> int:
        """When it was created, in nanoseconds since the epoch. Raises NoSuchContainer when it was removed."""
        return self.record().created_ns

    @property
    def engine(self) -> types.Engine:
        """The engine it belongs to."""
        return self._engine

    @property
    def directory(self) -> str:
        """The directory that holds its log, status and layers."""
        return self._engine.layout.container(self.id)

    def record(self) -> types.ContainerRecord:
        """Return what the store has. Raises NoSuchContainer when it was removed."""
        try:
            return records.find_container(self._engine.database, self.id)
        except NoSuchContainer:
            raise NoSuchContainer(self._name) from None

    def spec(self) -> types.ContainerSpec:
        """Return what was asked."""
        return self._engine.container_spec(self.record())

    def state(self) -> types.ContainerState:
        """Return what is, at this moment. Raises NoSuchContainer when it was removed."""
        self.record()
        with Boundary(f"read the state of container {self._name}"):
            state = observe.container_state(self.directory, self._engine.boot_id)
        if state.status == "created":
            self.record()  # one that was removed this moment looks the same as one that was never started
        return state

    @property
    def pod(self) -> types.Pod | None:
        """The pod it is a member of."""
        pod_id = self.record().pod_id
        return self._engine.pods.get(pod_id) if pod_id else None

    @property
    def networks(self) -> Sequence[types.Network]:
        """The networks that it is to be connected to, in their order; a pod's member has the pod's."""
        from pypod.engine.networks.connections import networks_of

        get = self._engine.networks.get
        return tuple(get(identifier) for identifier, _ in networks_of(self._engine, self.record()))

    @property
    def addresses(self) -> dict[str, tuple[str, ...]]:
        """Its addresses by the name of the network, IPv4 first; empty when it does not run.

        >>> container.addresses                                         # doctest: +SKIP
        {'podman': ('10.88.0.2',)}
        """
        from pypod.engine.networks.connections import addresses_of

        return addresses_of(self._engine, self.record())

    @property
    def ports(self) -> tuple[types.Port, ...]:
        """The published ports of the host that lead to it, random ones as they were chosen; in a pod the pod's.

        >>> container.ports                                             # doctest: +SKIP
        (Port(container_port=80, host_port=8080, host_ip='', protocol='tcp', count=1),)
        """
        from pypod.engine.networks.published import ports_of

        return ports_of(self._engine, self.record())

    def connect(
        self,
        network: types.Network | str,
        *,
        ip: str = "",
        ip6: str = "",
        mac_address: str = "",
        aliases: Sequence[str] = (),
    ) -> None:
        """Connect it to one more network: at once when it runs, else at its next start. ``aliases`` are more names.

        Raises NoSuchNetwork, AlreadyExists when it is connected already, InUse when there is no address for it, and
        InvalidSpec when it has no network of its own.
        """
        from pypod.engine.containers.connecting import connect_to

        record, name = self.record(), network if isinstance(network, str) else network.id
        connect_to(self._engine, record, name, ip=ip, ip6=ip6, mac_address=mac_address, aliases=aliases)

    def disconnect(self, network: types.Network | str) -> None:
        """Take it off a network. Raises WrongState when it is not connected to it."""
        from pypod.engine.containers.connecting import disconnect_from

        disconnect_from(self._engine, self.record(), network if isinstance(network, str) else network.id)

    def start(self, *, columns: int = 0, rows: int = 0, attended: bool = False) -> None:
        """Start it and what it depends on: its pod's infra, the containers whose namespaces it joins.

        Nothing happens when it runs. ``columns`` and ``rows`` size its terminal.

        With ``attended`` the caller waits for its end and removes it, if it was created to be removed.

        Raises LaunchFailed naming the kernel operation, CommandNotFound, CommandNotExecutable, PodBroken.
        """
        from pypod.engine.lifecycle import start

        record = self.record()
        if record.kind == records.INFRA:
            self._engine.pods.get(record.pod_id).start_infra()
            return
        start.start(self._engine, record, start.Terminal(columns, rows), attended=attended)

    def explain(self, *, columns: int = 0, rows: int = 0, attended: bool = False) -> types.Explanation:
        """Return what ``start`` of the same arguments would do now, step by step, with nothing done; ``print`` it.

        >>> print(container.explain())                                  # doctest: +SKIP
         1  python      make directory /var/lib/pypod/containers/...  [mkdir(2)]
        """
        from pypod.engine.lifecycle.explain import of_start
        from pypod.engine.lifecycle.start import Terminal

        with Boundary(f"explain container {self._name}"):
            return of_start(self._engine, self.record(), Terminal(columns, rows), attended=attended)

    def oci_config(self) -> dict[str, types.Any]:
        """Return its configuration as the OCI runtime specification has it: what a start would have now.

        It is valid as the config.json of a bundle, for any runtime. The root's ``path`` is where ``start`` mounts an
        image's layers, inside of the container's mount namespace only; files that it names are written at the start. A
        user given by name is in ``username``: other runtimes do not look it up.

        >>> container.oci_config()["process"]["args"]                   # doctest: +SKIP
        ['sleep', '1000']
        """
        from pypod.engine.lifecycle.start import oci_config

        return oci_config(self._engine, self.record())

    def stop(self, timeout: float | None = None) -> None:
        """Stop it: the stop signal, and SIGKILL after ``timeout`` seconds (default: its own stop timeout).

        A first process that has been up for more than 2 s and neither handles, blocks nor ignores the signal is killed
        at once: it would never get it. The whole cgroup is gone afterwards. Nothing happens when the container does not
        run. Raises WrongState when it is paused.
        """
        from pypod.engine.lifecycle import stopping

        if timeout is not None and timeout < 0:
            raise InvalidSpec("timeout", f"a timeout is not negative: {timeout:g}")
        record = self.record()
        if record.kind == records.INFRA:
            self._engine.pods.get(record.pod_id).stop_infra()
            return
        with Boundary(f"stop container {self._name}"):
            stopping.stop(self._engine, record, timeout)

    def explain_stop(self, timeout: float | None = None) -> types.Explanation:
        """Return what ``stop`` of the same argument would do now, step by step, with nothing done; ``print`` it."""
        from pypod.engine.lifecycle.explain import of_stop

        return of_stop(self._engine, [self.record()], timeout)

    def restart(self, timeout: float | None = None) -> None:
        """Stop and start it. Raises PodBroken, with nothing stopped, when it could not be started again."""
        from pypod.engine.lifecycle.start import require_startable

        record = self.record()
        if record.pod_id and record.kind == records.CONTAINER:
            require_startable(self._engine, record)
        if self.state().status == "paused":
            message = "unable to restart a container in a paused or unknown state: container state improper"
            raise WrongState(self._name, "paused", message, hint=f"pypod unpause {self._name}")
        announce.container(self._engine, announce.RESTART, record)
        self.stop(timeout)
        self.start()

    def kill(self, signal: str | int = SIGKILL) -> None:
        """Send a signal to its first process. Raises WrongState when it does not run."""
        from pypod.engine.lifecycle import stopping

        number = signal_number(signal)
        with Boundary(f"kill container {self._name}"):
            stopping.kill(self._engine, self.record(), number)

    def pause(self) -> None:
        """Keep all its processes from running until ``unpause``. They are not told.

        Raises WrongState when it does not run, Unsupported where the host cannot freeze a cgroup.
        """
        from pypod.engine.lifecycle import pausing

        pausing.pause(self._engine, self.record())

    def unpause(self) -> None:
        """Let its processes go on. Raises WrongState when it is not paused."""
        from pypod.engine.lifecycle import pausing

        pausing.unpause(self._engine, self.record())

    def rename(self, name: str) -> None:
        """Give it another name, running or not; what runs is found by it at once on networks that have names.

        Raises InvalidSpec for what is no name, AlreadyExists when it is taken.

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

    @takes(lambda: types.LimitOptions)
    def update(self, limits: types.LimitOptions) -> None:
        """Change what it may use while it runs; the next start has again what it was created with.

        The arguments are the limits among the options of ``Containers.create``: ``memory``, ``cpus`` and so on; what is
        not given stays. Raises InvalidSpec, also when the kernel refuses a value, Unsupported for what this host cannot
        limit, WrongState when it does not run.

        >>> container.update(memory=64 << 20, cpus=0.5)                 # doctest: +SKIP
        """
        from pypod.engine.resources.updating import update

        with Boundary(f"update container {self._name}"):
            update(self._engine, self.record(), limits)

    def stats(self, interval: float = 1.0) -> Iterator[types.Stats]:
        """Yield what it uses, at once and every ``interval`` seconds, for as long as it runs.

        The first value's ``cpu_percent`` is since its start, every other's since the one before.

        >>> next(container.stats()).memory_bytes                        # doctest: +SKIP
        917504
        """
        from pypod.engine.resources.stats import follow

        def records_now() -> list[ContainerRecord]:
            return [self.record()]

        return (one for look in follow(self._engine, records_now, interval) for one in look)

    def remove(self, *, force: bool = False, timeout: float | None = None) -> None:
        """Remove it; with ``force`` stop it first. Nothing happens when it is gone already.

        Raises WrongState when it runs and ``force`` is not given.
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
        stopping.remove(self._engine, record, force=force, timeout_s=timeout)

    def dependents(self) -> tuple[Container, ...]:
        """Return the containers that were created to join a namespace of this one, the oldest first."""
        found = dependencies.joining(self._engine.database, self.id)
        return tuple(Container(self._engine, one.id, one.name) for one in found if one.kind == records.CONTAINER)

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait until it has ended; return its exit code, None when nobody saw how it ended.

        A container that was never started is waited for, too. Raises DeadlineExceeded after ``timeout`` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if deadline is None else max(deadline - time.monotonic(), 0)
            with Boundary(f"wait for container {self._name}"):
                try:
                    state = observe.wait_for_exit(self.directory, self._engine.boot_id, left)
                except TimeoutError:
                    raise DeadlineExceeded(f"wait for container {self._name}", timeout or 0) from None
            if state is not None and state.status == "exited":
                return state.exit_code
            self.record()
            if left == 0:
                raise DeadlineExceeded(f"wait for container {self._name}", timeout or 0)
            time.sleep(_CREATED_POLL_S)

    def logs(self, *, follow: bool = False, tail: int | None = None) -> Iterator[types.Piece]:
        """Yield what it wrote, in order: pieces with ``stream``, ``time`` and ``data``.

        With ``follow`` the iterator goes on and ends when the container has ended. ``tail`` is a number of lines.
        """
        from pypod.engine.containers import logs

        self.record()
        reader = logs.LogReader(f"{self.directory}/ctr.log")
        try:
            if tail is not None and tail >= 0:  # podman's --tail -1 is all of it
                reader.skip_to_last(tail)
            if follow:
                yield from logs.follow(reader, self._wait_for_output)
            else:
                yield from reader.pieces()
        finally:
            reader.close()

    def open_log(self, *, offset: int = 0, at_end: bool = False) -> types.LogReader:
        """Return a reader of its log that stays where it is between two looks: what ``attach`` rings for.

        It begins ``offset`` bytes into the log (``Attachment.offset`` is where that was when we came), or ``at_end``.
        A container that has not run yet has an empty one.
        """
        from pypod.engine.containers.logs import LogReader

        path = f"{self.directory}/ctr.log"
        if at_end:
            try:
                offset = os.stat(path).st_size
            except FileNotFoundError:
                offset = 0
        return LogReader(path, offset)

    def _wait_for_output(self) -> bool:
        """Return True a moment later, or False when it has ended."""
        state = observe.container_state(self.directory, self._engine.boot_id)
        if not state.running:
            return False
        _wait_for_process(state, 0.02)
        return True

    def attach(self) -> types.Attachment:
        """Connect to its input; the output is in ``logs``. Raises WrongState when it does not run."""
        from pypod.engine.containers.attach import Attachment

        record = self.record()
        attachment = Attachment(self.directory, self._name)
        announce.container(self._engine, announce.ATTACH, record)
        return attachment

    def exec(
        self,
        command: Sequence[str] | str,
        *,
        stdin: bytes | None = None,
        environment: Mapping[str, str] | None = None,
        user: str = "",
        working_directory: str = "",
        privileged: bool = False,
        timeout: float | None = None,
    ) -> types.ExecResult:
        """Run a command in it to its end; return exit code, stdout and stderr.

        ``stdin`` is given to it whole. Raises CommandNotFound, CommandNotExecutable, WrongState, and DeadlineExceeded
        after ``timeout`` seconds, when the command is killed.
        """
        from pypod.engine.lifecycle import process

        spec = _exec_spec(command, environment, user, working_directory, privileged)
        return process.run(self._engine, self.record(), spec, stdin, timeout)

    def popen(
        self,
        command: Sequence[str] | str,
        *,
        stdin: bool = False,
        environment: Mapping[str, str] | None = None,
        user: str = "",
        working_directory: str = "",
        privileged: bool = False,
        terminal: bool = False,
    ) -> types.Process:
        """Start a command in it and return it running: iterate for its output, ``write`` for its input, ``wait``.

        With ``terminal`` it runs on a pseudoterminal of its own, whose other end is ``Process.terminal_fd``.
        """
        from pypod.engine.lifecycle import process

        spec = _exec_spec(command, environment, user, working_directory, privileged, terminal)
        return process.execute(self._engine, self.record(), spec, stdin=stdin)

    def spawn(
        self,
        command: Sequence[str] | str,
        *,
        environment: Mapping[str, str] | None = None,
        user: str = "",
        working_directory: str = "",
        privileged: bool = False,
    ) -> None:
        """Start a command in it and leave it: its streams are /dev/null, and it outlives this process.

        >>> container.spawn(["sleep", "60"])                            # doctest: +SKIP
        """
        from pypod.engine.lifecycle import exec as execution

        spec = _exec_spec(command, environment, user, working_directory, privileged)
        execution.start(self._engine, self.record(), spec, (-1, -1, -1), detach=True)

    def explain_exec(
        self,
        command: Sequence[str] | str,
        *,
        environment: Mapping[str, str] | None = None,
        user: str = "",
        working_directory: str = "",
        privileged: bool = False,
        terminal: bool = False,
    ) -> types.Explanation:
        """Return what running a command in it would do now, step by step, with nothing done; ``print`` it.

        Raises WrongState when it does not run.
        """
        from pypod.engine.lifecycle.explain import of_exec

        spec = _exec_spec(command, environment, user, working_directory, privileged, terminal)
        return of_exec(self._engine, self.record(), spec)

    def enter(self, *kinds: str) -> types.Entered:
        """Return a context in which this thread is in the container's namespaces: ``with c.enter("net", "uts"):``.

        Raises InvalidSpec for kinds a thread cannot enter (mnt, user), WrongState when it does not run.
        """
        from pypod.engine.core.enter import enter

        return enter(self._name, self.state(), kinds)

    def namespaces(self) -> dict[str, int]:
        """Return the inode of each of its namespaces by kind; empty when it does not run."""
        state = self.state()
        found = self._engine.proc.namespaces(state.pid) if state.running else None
        return {kind: inode for kind, (_, inode) in (found or {}).items()}

    def _repr_html_(self) -> str:
        from pypod.engine.inspect.picture import container_html

        return container_html(self._engine, self.id, self._name)

    def inspect(self, *, size: bool = False) -> dict[str, types.Any]:
        """Return everything there is to know, in podman's form; with ``size`` that of its writable layer, too."""
        from pypod.engine.inspect.containers import inspect_container

        found = inspect_container(self._engine, self.record())
        if not size:
            return found
        from pypod.engine.containers.differences import writable_bytes

        # before the mounts, as podman
        before = list(found).index("Mounts")
        items = list(found.items())
        items.insert(before, ("SizeRw", writable_bytes(self._engine, self.directory)))
        return dict(items)

    def healthcheck(self) -> bool:
        """Run its health check and remember the result; return whether it succeeded.

        Raises InvalidSpec when it has none, WrongState when it does not run.
        """
        from pypod.engine.containers.health import check

        with Boundary(f"check container {self._name}"):
            return check(self._engine, self.record())

    def commit(
        self,
        name: str = "",
        *,
        author: str = "",
        message: str = "",
        changes: Sequence[str] = (),
        include_volumes: bool = False,
        pause: bool = False,
        squash: bool = False,
        format: str = "oci",
        progress: Callable[[types.Progress], None] | None = None,
    ) -> types.Image:
        """Make an image of its own image and what it wrote since, and give it a name.

        ``changes`` is a list of Dockerfile instructions (``CMD``, ``ENV`` and so on); ``pause`` keeps its processes
        from running meanwhile; ``squash`` makes one layer of all; ``format`` is oci or docker; ``include_volumes``
        makes volumes of the image of all that the container has mounts on; ``progress`` is told how it goes, as by
        ``Images.pull``. What lies in volumes is not in it.

        Raises InvalidSpec, also for a container without an image.
        """
        from pypod.engine.containers.committing import commit

        identifier = commit(
            self._engine,
            self.id,
            name,
            author=author,
            message=message,
            changes=changes,
            include_volumes=include_volumes,
            pause=pause,
            squash=squash,
            format=format,
            progress=progress,
        )
        return self._engine.images.get(name or identifier)

    def export(self) -> Iterator[bytes]:
        """Yield a tar of its whole root file system, pieces of bytes; what is mounted there is left out."""
        from pypod.engine.containers.exporting import export

        yield from export(self._engine, self.id)

    def changes(self, base: Container | types.Image | None = None) -> Sequence[tuple[str, str]]:
        """Return what it has written, or how its root differs from that of ``base``: see ``Image.changes``.

        Raises Unsupported when it writes into its root directory itself (``overlay=False``).
        """
        from pypod.engine.containers.differences import changes

        with Boundary(f"compare container {self.name}"):
            return changes(self._engine, self.root, None if base is None else base.root)

    @property
    def root(self) -> tuple[str, str]:
        """What names its root file system in a comparison: ``container`` and its id."""
        return "container", self.id

    def __enter__(self) -> types.Self:
        from pypod.engine.containers.attach import Attachment
        from pypod.engine.core import kept_records

        owner = self._engine.owner()
        self._entered_by = owner.pid
        records.set_owner(self._engine.database, "containers", self.id, owner)
        kept_records.renew(self._engine, self.id)
        try:
            client = Attachment(self.directory, self._name)
        except WrongState:  # it does not run: whoever starts it tells its monitor
            return self
        client.own(owner.start_time)
        client.close()
        return self

    def __exit__(self, *_: object) -> None:
        if self._entered_by == os.getpid():  # a fork of the owner leaves the block, too
            self.remove(force=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Container) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Container {self._name} {ids.short(self.id)}>"


def _exec_spec(
    command: Sequence[str] | str,
    environment: Mapping[str, str] | None,
    user: str,
    working_directory: str,
    privileged: bool,
    terminal: bool = False,
) -> ExecSpec:
    from pypod.engine.lifecycle import exec as execution
    from pypod.engine.specs.specs import check_environment, check_user

    return execution.ExecSpec(
        command=execution.arguments(command),
        environment=check_environment(environment or {}),
        user=check_user(user),
        working_directory=working_directory,
        privileged=privileged,
        terminal=terminal,
    )


def _wait_for_process(state: ContainerState, timeout_s: float | None) -> None:
    fd = pidfd.open_process(state.pid, state.start_time)
    if fd is not None:
        try:
            pidfd.wait(fd, timeout_s)
        finally:
            os.close(fd)
