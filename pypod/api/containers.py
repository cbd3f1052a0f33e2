"""The containers of an engine: create, run, explain, find, list."""

from __future__ import annotations

from _collections_abc import Callable, Iterable, Sequence

from pypod.api import types
from pypod.api.signatures import takes
from pypod.errors import NoSuchContainer
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pypod.api.options.create import MemberOptions
    from pypod.api.pod import Pod


class Containers:
    """The containers of an engine."""

    __slots__ = ("_engine",)

    def __init__(self, engine: types.Engine) -> None:
        self._engine = engine

    @takes(lambda: types.CreateOptions)
    def create(self, asked: types.CreateOptions) -> types.Container:
        """Create a container without starting it.

        ``image`` is a name or an Image; ``pull`` says when it is pulled (always, missing, never, newer). With the
        option ``rootfs`` there is no image, and the first argument is the command.

        ``ports`` are published on the host: strings as for podman's --publish, numbers (container ports, each on a
        random host port), or a mapping from host ports to container ports. ``publish_all`` adds a random host port for
        each further port that the image or ``exposed_ports`` names. For a container without a network of its own they
        are ignored; a pod's ports are published by the pod, not by its members.

        Raises InvalidSpec, AlreadyExists for a name in use, NoSuchPod, NoSuchImage, RegistryError, and Unsupported for
        a limit or a port that this host does not support; then no container was created.

        >>> engine.containers.create("busybox", ["sleep", "60"], name="box")     # doctest: +SKIP
        >>> engine.containers.create("httpd", ports=["8080:80", "127.0.0.1::443"])     # doctest: +SKIP
        >>> engine.containers.create(["sleep", "60"], rootfs="/")                # doctest: +SKIP
        """
        return self._create(asked, asked.pod, ephemeral=asked.ephemeral)

    def _create(
        self, asked: MemberOptions, pod: Pod | str | None = None, *, ephemeral: bool = False
    ) -> types.Container:
        from pypod.api.container_creation import Creation

        return Creation(self._engine).create(asked, pod, ephemeral=ephemeral)

    def _clone(self, record: records.ContainerRecord, asked: types.CloneOptions) -> types.Container:
        from pypod.api.cloning import Cloning

        return Cloning(self._engine).clone(record, asked)

    @takes(lambda: types.ExplainOptions)
    def explain(self, asked: types.ExplainOptions) -> types.Explanation:
        """Return the steps that ``run`` would take, without taking any; ``new_pod`` names a pod that it would create.

        That pod gets the network options and the ports.

        The image must exist locally: nothing is pulled. ``columns``, ``rows`` and ``attended`` are those of
        ``Container.start``. Raises what ``create`` raises, except for names in use.

        >>> print(engine.containers.explain(["true"], rootfs="/"))     # doctest: +SKIP
        """
        from pypod.api.container_creation import Creation

        return Creation(self._engine).explain(asked)

    def explain_creation(self) -> types.Explanation:
        """Return the steps of ``create`` after the checks of its arguments: it writes the records and nothing else."""
        from pypod.engine.lifecycle.explain import of_creation

        return of_creation(self._engine, "container", 2)

    @takes(lambda: types.CreateOptions)
    def run(self, asked: types.CreateOptions) -> types.Container:
        """Create and start a container. If the start fails, nothing is left of it.

        The arguments are those of ``create``. Raises what ``create`` and ``Container.start`` raise.
        """
        return self._run(asked, asked.pod, ephemeral=asked.ephemeral)

    def _run(self, asked: MemberOptions, pod: Pod | str | None = None, *, ephemeral: bool = False) -> types.Container:
        container = self._create(asked, pod, ephemeral=ephemeral)
        try:
            container.start()
        except BaseException:
            container.remove(force=True)
            raise
        return container

    def get(self, ref: str) -> types.Container:
        """Return the container with this name, id or id prefix.

        Raises NoSuchContainer, AmbiguousName.
        """
        from pypod.api.container import Container

        record = records.find_container(self._engine.database, ref)
        return Container(self._engine, record.id, record.name)

    def exists(self, ref: str) -> bool:
        """Return whether ``get`` would find a container."""
        try:
            self.get(ref)
        except NoSuchContainer:
            return False
        return True

    def list(self, *, all: bool = False) -> list[types.Container]:
        """Return the running containers, oldest first; with ``all`` every container. Infras are not included."""
        from pypod.api.container import Container
        from pypod.engine.containers.listing import listed_containers

        return [
            Container(self._engine, record.id, record.name)
            for record, state in listed_containers(self._engine)
            if record.kind == records.CONTAINER and (all or state.running)
        ]

    def summaries(self) -> Sequence[types.ContainerSummary]:
        """Return a summary of every container as ``pypod ps --all`` shows it, oldest first, infras included.

        >>> [(one.name, one.state.status) for one in engine.containers.summaries()]      # doctest: +SKIP
        [('web', 'running')]
        """
        from pypod.api.summaries import containers

        return containers(self._engine)

    def stats(
        self,
        refs: Iterable[str] | None = None,
        *,
        pods: Iterable[str] | None = None,
        before: Iterable[types.Stats] = (),
        all: bool = False,
    ) -> Sequence[types.Stats]:
        """Return the current resource usage of running containers: of ``refs``, of those in ``pods``, or of all.

        Infras are included, and with ``all`` containers that are not running. ``before`` is an earlier result, since
        which ``cpu_percent`` is measured; without it, it is since the start.

        Raises NoSuchContainer, NoSuchPod, AmbiguousName.

        >>> [(one.name, one.memory_bytes) for one in engine.containers.stats()]      # doctest: +SKIP
        [('web', 917504)]
        """
        from pypod.engine.resources.stats import look

        database = self._engine.database
        if refs is not None:
            found = [records.find_container(database, ref) for ref in refs]
        elif pods is not None:
            chosen = [records.find_pod(database, ref) for ref in pods]
            found = [one for pod in chosen for one in records.all_containers(database, pod_id=pod.id)]
        else:
            found = records.all_containers(database)
        return look(self._engine, found, {one.id: one for one in before}, all=all)

    def top(self, ref: str) -> Sequence[types.ContainerProcess]:
        """Return the processes of the container with this name, id or id prefix; see ``Container.top``."""
        from pypod.engine.inspect.processes import of_container

        return of_container(self._engine, records.find_container(self._engine.database, ref))

    def wanted(self) -> Sequence[types.Container]:
        """Return the containers that their restart policy wants to run and that do not, such as after a boot.

        These are those with ``always`` that were ever started, and those with ``unless-stopped`` that nobody has
        stopped. Containers that they join or require are started with them.

        >>> for one in engine.containers.wanted():                      # doctest: +SKIP
        ...     one.start()
        """
        from pypod.api.container import Container
        from pypod.engine.lifecycle.restarts import wanted

        return [Container(self._engine, one.id, one.name) for one in wanted(self._engine)]

    def prune(self, only: Callable[[types.ContainerSummary], bool] | None = None) -> Sequence[str]:
        """Remove the containers that are not running, except the members of pods; return their ids.

        ``only`` returns for each whether to remove it. One whose namespaces another container joins stays.
        """
        from pypod.errors import InUse, WrongState

        removed = []
        for one in self.summaries():
            if one.pod_id or one.state.running or one.state.restarting or (only is not None and not only(one)):
                continue
            try:
                self.get(one.id).remove()
            except (NoSuchContainer, InUse, WrongState):  # removed, joined or started just now
                continue
            removed.append(one.id)
        return removed
