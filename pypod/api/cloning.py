"""Copies of containers: the same specification under another name, perhaps of another image or in another pod."""

from __future__ import annotations

from pypod.api.container_creation import Creation
from pypod.engine.core.boundary import Boundary
from pypod.errors import InvalidSpec
from pypod.model.namespace import HOST, POD, PRIVATE
from pypod.store import networks, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pypod.api import types
    from pypod.api.options.create import CloneOptions
    from pypod.model.container import ContainerSpec
    from pypod.model.network import Connection
    from pypod.model.pod import PodSpec
    from pypod.store.records import ContainerRecord

_SHAREABLE = ("net", "ipc", "uts", "pid", "cgroup")
_OF_A_NETWORK = ("ports", "net_program", "add_hosts", "no_hosts", "dns_servers", "dns_options", "dns_search")


class Cloning(Creation):
    """Creates containers like others."""

    __slots__ = ()

    def clone(self, record: ContainerRecord, asked: CloneOptions) -> types.Container:
        """Create a container like another; see ``Container.clone``."""
        from pypod.engine.containers.updating import changed_limits
        from pypod.engine.resources.limits import settings_of

        if record.kind != records.CONTAINER:
            raise InvalidSpec("CONTAINER", f"container {record.id} is the infra of a pod", hint="pypod pod clone")
        spec = self._engine.container_spec(record)
        connections = [one for one, _ in networks.connections_of(self._engine.database, record.id)]
        image_id = record.image_id
        if asked.image:
            image = asked.image
            if isinstance(image, str):
                image = self._engine.images.for_container(image)
            image_id = image.id
            spec = spec.replace(image=image.used_name, layers=image.layer_directories(), rootfs="")
        limits = changed_limits(spec.limits, asked)
        if limits is not None:
            settings_of(self._engine, limits)
        pod_id = record.pod_id
        if asked.pod is not None:
            ref = asked.pod if isinstance(asked.pod, str) else asked.pod.id
            pod_id = records.find_pod(self._engine.database, ref).id
        pod = self._engine.pod_spec(records.find_pod(self._engine.database, pod_id)) if pod_id else None
        if pod is not None and pod_id != record.pod_id:
            spec, connections = _moved(spec, pod, connections)
        spec = spec.replace(limits=limits, pod_id=pod_id)
        return self._made(record, asked.name, spec, pod, image_id, connections)

    def into_pod(
        self, record: ContainerRecord, pod_id: str, change: Callable[[ContainerSpec], ContainerSpec], pod: PodSpec
    ) -> types.Container:
        """Create a member of a pod's clone like one of the pod; ``change`` returns how its specification differs."""
        spec = change(self._engine.container_spec(record)).replace(pod_id=pod_id)
        connections = [one for one, _ in networks.connections_of(self._engine.database, record.id)]
        return self._made(record, "", spec, pod, record.image_id, connections)

    def _made(
        self,
        original: ContainerRecord,
        name: str,
        spec: ContainerSpec,
        pod: PodSpec | None,
        image_id: str,
        connections: Sequence[Connection],
    ) -> types.Container:
        """Create a container with this specification and name, by default one made from the original's."""
        from pypod.engine.core.free_names import under_name_of_clone

        def create(name: str) -> types.Container:
            def add(one: ContainerSpec) -> types.Container:
                return self._add(self._record(one, pod, "", image_id), one, connections)

            named = spec.replace(name=name)
            if named.user_namespace.mode != "auto":
                return add(named)
            from pypod.engine.session import auto_ids

            return auto_ids.given(self._engine, named, add)

        with Boundary("create container"):
            return create(name) if name else under_name_of_clone(original.name, create)


def _moved(
    spec: ContainerSpec, pod: PodSpec, connections: Sequence[Connection]
) -> tuple[ContainerSpec, list[Connection]]:
    """Return a specification with what a pod that it becomes a member of has for all members, and its networks.

    What it was created with itself counts more, as when a member is created.
    """
    from pypod.engine.specs.security import security_options
    from pypod.engine.specs.specs import of_pod

    shared = pod.share if pod.infra else ()
    joined = {kind: POD if kind == "net" else of_pod(kind, pod) for kind in _SHAREABLE if kind in shared}
    left = {kind: PRIVATE for kind in _SHAREABLE if kind not in shared and getattr(spec, kind) == POD}
    in_user = spec.user_namespace == POD or "user" in shared
    users = {"user_namespace": POD if "user" in shared else HOST, "uid_map": (), "gid_map": ()} if in_user else {}
    lost = _OF_A_NETWORK if "net" in shared else ()
    own = {mount.target for mount in spec.mounts}
    given = tuple(mount for mount in pod.mounts if mount.target not in own)
    devices = {one.path: one for one in (*pod.devices, *spec.devices)}
    secured = {name: value for name, value in security_options(pod.security_opt).items() if not getattr(spec, name)}
    moved = spec.replace(
        mounts=(*spec.mounts, *given),
        devices=tuple(devices.values()),
        hostname="" if "uts" in shared else spec.hostname,
        **{name: type(getattr(spec, name))() for name in lost},
        **joined,
        **left,
        **users,
        **secured,
    )
    return moved, [] if "net" in shared else list(connections)
