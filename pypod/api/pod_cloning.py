"""Copies of pods: the same specification with some fields changed, and members like those of the original."""

from __future__ import annotations

from pypod.api.pod_creation import Creation
from pypod.engine.core.boundary import Boundary
from pypod.model.mount import plain_path
from pypod.model.namespace import HOST, JOINABLE, POD, PRIVATE
from pypod.store import networks, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from pypod.api import types
    from pypod.api.options.pod import ClonePodOptions
    from pypod.engine.specs.security import SecurityOptions
    from pypod.model.container import ContainerSpec
    from pypod.model.mount import Mount
    from pypod.model.options.pod import PodOptions
    from pypod.model.pod import PodSpec
    from pypod.store.records import PodRecord

# Fields that are the value of the option with the same name.
_PLAIN = ("infra_name", "hostname", "cgroup_parent")
_FIELD_OF_USER = {"user": "user_namespace"}


class Cloning(Creation):
    """Creates pods like others."""

    __slots__ = ()

    def clone(self, record: PodRecord, asked: ClonePodOptions) -> types.Pod:
        """Create a pod and members like those of another; see ``Pod.clone``."""
        from pypod.engine.core.free_names import under_name_of_clone
        from pypod.engine.specs.security import security_options

        before = self._engine.pod_spec(record)
        with Boundary("create pod"):
            spec = self._changed(before, asked)
            security = security_options(asked.security_opt)

            def create(name: str) -> types.Pod:
                named = spec.replace(name=name)
                if not before.infra_name or asked.infra_name:
                    return self._made(record, named)
                return under_name_of_clone(
                    before.infra_name, lambda infra_name: self._made(record, named.replace(infra_name=infra_name))
                )

            pod = create(asked.name) if asked.name else under_name_of_clone(record.name, create)
        try:
            self._clone_members(record, before, pod, security)
        except BaseException:
            pod.remove(force=True)
            raise
        return pod

    def _made(self, original: PodRecord, spec: PodSpec) -> types.Pod:
        """Create the pod without members, connected to the networks of the original."""
        image, connections = None, []
        if original.infra_id:
            infra = records.find_container(self._engine.database, original.infra_id)
            image = self._engine.images.get(infra.image_id) if infra.image_id else None
            connections = [one for one, _ in networks.connections_of(self._engine.database, infra.id)]

        def add(spec: PodSpec) -> types.Pod:
            return self._add(spec, "", image, connections)

        if spec.user_namespace.mode != "auto":
            return add(spec)
        from pypod.engine.session import auto_ids

        return auto_ids.given(self._engine, spec, add)

    def _clone_members(self, original: PodRecord, before: PodSpec, pod: types.Pod, security: SecurityOptions) -> None:
        from pypod.api.cloning import Cloning as CloningOfContainers

        after, record = pod.spec(), pod.record()
        cloning = CloningOfContainers(self._engine)
        clones = {original.infra_id: record.infra_id}  # a member joins and requires only older ones

        def change(spec: ContainerSpec) -> ContainerSpec:
            return _linked(_member_of(spec, before, after), clones).replace(**security)

        for member in records.all_containers(self._engine.database, pod_id=original.id):
            if member.kind == records.CONTAINER:
                clones[member.id] = cloning.into_pod(member, record.id, change, after).id

    def _changed(self, before: PodSpec, asked: ClonePodOptions) -> PodSpec:
        """Return a pod's specification with what the options ask for. Raises InvalidSpec, Unsupported."""
        from pypod.engine.containers.updating import changed_limits
        from pypod.engine.session import id_maps
        from pypod.engine.specs import specs
        from pypod.engine.specs.pods import member_fields
        from pypod.model.options.pod import PodOptions

        given = asked.without(("name",)).given()
        options = PodOptions(infra=before.infra).replace(**given)
        fields: dict[str, Any] = {name: given[name] for name in _PLAIN if name in given}
        if options.infra_command:
            fields["infra_command"] = tuple(options.infra_command)
        if options.shm_size is not None:
            fields["shm_size_bytes"] = options.shm_size
        limits = changed_limits(before.limits, asked)
        self._check_limits(limits, share_parent=before.share_parent)
        spec = before.replace(
            labels=_merged(before.labels, options.labels),
            sysctls=_merged(before.sysctls, options.sysctls),
            limits=limits,
            mounts=_mounted(before.mounts, self._mounts(options)),
            create_command=(),
            **{"infra_conmon_pidfile": "", **fields, **member_fields(options)},
            **self._of_users(before, options),
        )
        if options.sysctls:
            own_net = "net" in spec.share and spec.net == PRIVATE.mode
            specs.check_sysctls(spec.sysctls, net=own_net, ipc="ipc" in spec.share)
        id_maps.maps_of(self._engine, spec)
        return spec

    def _of_users(self, before: PodSpec, options: PodOptions) -> Mapping[str, Any]:
        from pypod.engine.session.id_maps import USERNS_OPTIONS

        if not any(getattr(options, name) for name in USERNS_OPTIONS):
            return {}
        found = self._user_namespace(options)
        others = tuple(kind for kind in before.share if kind != "user")
        if found:
            return {**found, "share": (*others, "user")}
        return {"user_namespace": HOST, "uid_map": (), "gid_map": (), "share": others}


def _merged(before: Sequence[tuple[str, str]], given: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({**dict(before), **(given or {})}.items()))


def _mounted(before: Sequence[Mount], given: Sequence[Mount]) -> tuple[Mount, ...]:
    return tuple({plain_path(mount.target): mount for mount in (*before, *given)}.values())


def _member_of(spec: ContainerSpec, before: PodSpec, after: PodSpec) -> ContainerSpec:
    """Return a member's specification with what differs between its pod and the pod's clone."""
    from pypod.engine.specs.specs import of_pod

    joined = {
        kind: of_pod(kind, after)
        for kind in ("pid", "uts")
        if kind in after.share and getattr(spec, kind) == of_pod(kind, before)
    }
    users = {}
    if ("user" in before.share) != ("user" in after.share):
        users = {"user_namespace": POD if "user" in after.share else HOST, "uid_map": (), "gid_map": ()}
    own = [mount for mount in spec.mounts if mount not in before.mounts]
    devices = [one for one in spec.devices if one not in before.devices]
    return spec.replace(
        mounts=_mounted(after.mounts, own),
        devices=tuple({one.path: one for one in (*after.devices, *devices)}.values()),
        **joined,
        **users,
    )


def _linked(spec: ContainerSpec, clones: Mapping[str, str]) -> ContainerSpec:
    """Return a specification that refers to the clones of the containers whose namespaces it joins, or it requires."""
    joined = {}
    for kind in JOINABLE:
        mode = spec.namespace(kind)
        if mode.mode == "container" and mode.target in clones:
            joined[_FIELD_OF_USER.get(kind, kind)] = mode.replace(target=clones[mode.target])
    return spec.replace(requires=tuple(clones.get(one, one) for one in spec.requires), **joined)
