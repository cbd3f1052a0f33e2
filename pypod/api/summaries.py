"""Containers and pods in listings: snapshots from one pass over the store and the kernel."""

from __future__ import annotations

from _collections_abc import Sequence

from pypod.api import types
from pypod.engine.containers.listing import listed_containers, listed_pods
from pypod.store.records import INFRA

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.api.engine import Engine
    from pypod.model.container import ContainerSpec
    from pypod.store.records import PodRecord

__all__ = ["ContainerSummary", "PodSummary", "containers", "pods"]


class ContainerSummary:
    """A container as ``Containers.summaries`` found it.

    The data from the store and the kernel are as of then. What takes longer to find out, such as ``ports``, ``health``,
    ``written_bytes`` and ``image_bytes``, is read on access.
    """

    __slots__ = ("_listing", "_record", "_spec", "_state")

    def __init__(self, record: types.ContainerRecord, state: types.ContainerState, listing: _Listing) -> None:
        self._record = record
        self._listing = listing
        self._spec: ContainerSpec | None = None
        self._state = state

    @property
    def id(self) -> str:
        """The full id, 64 digits."""
        return self._record.id

    @property
    def name(self) -> str:
        """The name."""
        return self._record.name

    @property
    def pod_id(self) -> str:
        """The id of the pod it is a member or the infra of; empty without one."""
        return self._record.pod_id

    @property
    def pod_name(self) -> str:
        """The name of that pod."""
        pod = self._listing.pod(self._record.pod_id)
        return pod.name if pod is not None else ""

    @property
    def counts_in_pod(self) -> bool:
        """Whether the status of its pod depends on its state: not on those of the infra and of init containers."""
        return self._record.counts_in_pod

    @property
    def is_infra(self) -> bool:
        """Whether it is the infra of a pod."""
        return self._record.kind == INFRA

    @property
    def state(self) -> types.ContainerState:
        """The observed state: status, init process, exit code, times."""
        return self._state

    @property
    def created_ns(self) -> int:
        """The time of creation, in nanoseconds since the epoch."""
        return self._record.created_ns

    @property
    def image(self) -> str:
        """The name of its image; empty for one with a root file system of its own."""
        return self._record.image

    @property
    def image_id(self) -> str:
        """The id of its image."""
        return self._record.image_id

    @property
    def command(self) -> str:
        """Its command, as one string."""
        return self._record.command

    @property
    def auto_remove(self) -> bool:
        """Whether it is removed when it has exited."""
        return bool(self._record.remove)

    @property
    def spec(self) -> types.ContainerSpec | None:
        """The specification; None for an infra, which has its pod's."""
        if self._spec is None and not self.is_infra:
            from pypod.store.stored_specs import container_spec

            self._spec = container_spec(self._record)
        return self._spec

    @property
    def labels(self) -> dict[str, str]:
        """The labels; an infra has its pod's."""
        from pypod.store.stored_specs import labels

        record = self._listing.pod(self._record.pod_id) if self.is_infra else self._record
        return labels(record) if record is not None else {}

    @property
    def mounts(self) -> Sequence[types.Mount]:
        """The mounts other than the standard file systems."""
        if self.spec is None:
            return ()
        from pypod.engine.inspect.containers import user_mounts

        return user_mounts(self.spec)

    @property
    def networks(self) -> Sequence[str]:
        """The names of the networks that it is connected to itself; a pod's members are connected through the infra."""
        return self._listing.networks(self._record.id)

    @property
    def ports(self) -> tuple[types.Port, ...]:
        """The published ports that lead to it: its own, its pod's, or those of the container whose network it has."""
        pod = self._listing.pod(self._record.pod_id)
        publishes = self._record.publishes_ports or (pod is not None and pod.publishes_ports)
        if not publishes and self.id not in self._listing.joining_networks:
            return ()
        from pypod.engine.networks.ports import ports_of

        return ports_of(self._listing.engine, self._record)

    @property
    def health(self) -> str:
        """starting, healthy or unhealthy; empty without a health check, or when it is not running."""
        if not self._record.has_healthcheck or not self.state.running:
            return ""
        from pypod.engine.containers.health import of

        directory = self._listing.engine.layout.container(self._record.id)
        return of(directory, self.state).status

    @property
    def namespaces(self) -> dict[str, int]:
        """The inode of each of its namespaces by kind; empty when it is not running."""
        found = self._listing.engine.proc.namespaces(self.state.pid) if self.state.alive else None
        return {kind: inode for kind, (_, inode) in (found or {}).items()}

    @property
    def written_bytes(self) -> int:
        """The size of its writable layer."""
        from pypod.engine.containers.differences import writable_bytes

        engine = self._listing.engine
        return writable_bytes(engine, engine.layout.container(self._record.id))

    @property
    def image_bytes(self) -> int:
        """The size of the layers of its image; 0 without an image."""
        return self._listing.image_bytes(self._record.image_id)

    def __repr__(self) -> str:
        return f"<ContainerSummary {self.name} {self.state.status}>"


class PodSummary:
    """A pod as ``Pods.summaries`` found it."""

    __slots__ = ("_engine", "_members", "_record")

    def __init__(self, engine: types.Engine, record: types.PodRecord, members: tuple[ContainerSummary, ...]) -> None:
        self._engine = engine
        self._record = record
        self._members = members

    @property
    def id(self) -> str:
        """The full id, 64 digits."""
        return self._record.id

    @property
    def name(self) -> str:
        """The name."""
        return self._record.name

    @property
    def created_ns(self) -> int:
        """The time of creation, in nanoseconds since the epoch."""
        return self._record.created_ns

    @property
    def members(self) -> tuple[ContainerSummary, ...]:
        """Its containers, the infra first."""
        return self._members

    @property
    def infra_id(self) -> str:
        """The id of its infra container; empty without one."""
        return self._record.infra_id

    @property
    def spec(self) -> types.PodSpec:
        """The specification."""
        return self._engine.pod_spec(self._record)

    @property
    def networks(self) -> Sequence[str]:
        """The names of the networks that it is connected to."""
        from pypod.store.networks import names_of_container

        return names_of_container(self._engine.database, self._record.infra_id) if self._record.infra_id else ()

    @property
    def status(self) -> str:
        """Created, Running, Degraded, Paused, Exited, Stopped, or Broken when the infra has died while members run."""
        from pypod.model.pod import pod_status

        infra = next((one.state for one in self.members if one.is_infra), None)
        return pod_status(infra, [one.state for one in self.members if one.counts_in_pod])

    @property
    def cgroup_parent(self) -> str:
        """The parent of the pod's cgroup."""
        from pypod.kernel.cgroups.driver import container_path

        return container_path(self.spec.cgroup_parent, "", self._record.id).rpartition("/")[0]

    def __repr__(self) -> str:
        return f"<PodSummary {self.name} {self.status}>"


class _Listing:
    """The data that the containers of one listing share: pods and networks, read once, when first needed."""

    __slots__ = ("_image_bytes", "_joining_networks", "_networks", "_pods", "engine")

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._pods: dict[str, PodRecord] | None = None
        self._networks: dict[str, list[str]] | None = None
        self._joining_networks: set[str] | None = None
        self._image_bytes: dict[str, int] = {}

    @property
    def joining_networks(self) -> set[str]:
        """The ids of the containers that use another container's network."""
        if self._joining_networks is None:
            from pypod.store.dependencies import joining_networks

            self._joining_networks = joining_networks(self.engine.database)
        return self._joining_networks

    def pod(self, identifier: str) -> PodRecord | None:
        """Return a pod, None when it no longer exists or the id is empty."""
        if not identifier:
            return None
        if self._pods is None:
            from pypod.store.records import all_pods

            self._pods = {record.id: record for record in all_pods(self.engine.database)}
        return self._pods.get(identifier)

    def networks(self, identifier: str) -> Sequence[str]:
        """Return the names of the networks that a container is connected to."""
        if self._networks is None:
            from pypod.store.networks import names_by_container

            self._networks = names_by_container(self.engine.database)
        return self._networks.get(identifier, ())

    def image_bytes(self, identifier: str) -> int:
        """Return the size of the layers of an image."""
        if identifier not in self._image_bytes:
            from pypod.engine.containers.differences import image_bytes

            self._image_bytes[identifier] = image_bytes(self.engine, identifier)
        return self._image_bytes[identifier]


def containers(engine: types.Engine) -> list[ContainerSummary]:
    """Return a summary of every container, oldest first, infras included."""
    listing = _Listing(engine)
    return [ContainerSummary(record, state, listing) for record, state in listed_containers(engine)]


def pods(engine: types.Engine) -> list[PodSummary]:
    """Return a summary of every pod, oldest first."""
    records = listed_pods(engine)
    members: dict[str, list[ContainerSummary]] = {}
    for one in containers(engine):
        if one.pod_id:
            members.setdefault(one.pod_id, []).append(one)
    return [
        PodSummary(engine, record, tuple(members.get(record.id, ())))
        for record in records
        if not record.infra_id or record.id in members  # else it was removed just now
    ]
