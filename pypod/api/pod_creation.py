"""Create pods: from the options to a specification, and from that to the records of the pod and its infra."""

from __future__ import annotations

import os
import time
from _collections_abc import Mapping, Sequence

from pypod.api import types
from pypod.engine.core.boundary import Boundary
from pypod.errors import InvalidSpec
from pypod.model import ids
from pypod.model.container import DEFAULT_SHM_BYTES
from pypod.model.namespace import DEFAULT_SHARE, HOST, PRIVATE, parse_share
from pypod.model.pod import PodSpec
from pypod.store import records, stored_specs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from pypod.api.images.image import Image
    from pypod.api.options.pod import CreatePodOptions
    from pypod.model.container import ContainerSpec
    from pypod.model.limits import Limits
    from pypod.model.mount import Mount
    from pypod.model.network import Connection
    from pypod.model.network_flags import Asked
    from pypod.model.options.pod import PodOptions
    from pypod.model.volume import VolumeRecord
    from pypod.store.records import ContainerRecord, PodRecord


class Creation:
    """Creates pods of an engine, or returns what that would write."""

    __slots__ = ("_engine",)

    def __init__(self, engine: types.Engine) -> None:
        self._engine = engine

    def create(self, options: CreatePodOptions) -> types.Pod:
        """Create a pod. Raises what ``Pods.create`` raises."""
        from pypod.engine.configuration import current
        from pypod.engine.core.free_names import under_free_name
        from pypod.engine.session import id_maps
        from pypod.engine.specs import configured

        settings = current.of(self._engine)
        options = configured.of_pod(self._engine, settings, options)
        owner = str(self._engine.owner()) if options.ephemeral else ""

        def create(name: str) -> types.Pod:
            spec = PodSpec(name=name, **fields)
            id_maps.maps_of(self._engine, spec)

            def add(spec: PodSpec) -> types.Pod:
                return self._add(spec, owner, image, connections)

            if spec.user_namespace.mode != "auto":
                return add(spec)
            from pypod.engine.session import auto_ids

            return auto_ids.given(self._engine, spec, add)

        with Boundary("create pod"):
            fields, connections = self._resolved(options, configured.host_address(settings))
            image = self._image(options.infra_image) if options.infra_image else None
            return create(options.name) if options.name else under_free_name(create)

    def _resolved(self, options: CreatePodOptions, host_address: str) -> tuple[Mapping[str, Any], Sequence[Connection]]:
        """Return the fields of the specification but its name, and the networks. Raises InvalidSpec, Unsupported."""
        from pypod.engine.networks.options import resolved
        from pypod.engine.resources.limits import from_options
        from pypod.engine.specs.pods import member_fields
        from pypod.engine.specs.ports import of_pod
        from pypod.engine.specs.specs import check_sysctls

        in_user = self._user_namespace(options)
        kinds = tuple(dict.fromkeys((*_kinds(options), *(("user",) if in_user else ()))))
        if kinds and not options.infra:
            raise InvalidSpec("--share", f"cannot set share({','.join(kinds)}) namespaces without an infra container")
        asked, of_network = _of_network(options, shared="net" in kinds)
        sysctls = tuple(sorted((options.sysctls or {}).items()))
        check_sysctls(sysctls, net="net" in kinds and asked.mode == PRIVATE, ipc="ipc" in kinds)
        limits = from_options(options)
        self._check_limits(limits, share_parent=options.share_parent)
        if options.infra_image and not options.infra:
            raise InvalidSpec("--infra-image", "cannot set infra-image without infra container: invalid configuration")
        connections = resolved(self._engine, asked)
        fields = dict(
            share=kinds,
            infra=options.infra,
            infra_name=options.infra_name,
            infra_command=tuple(options.infra_command),
            hostname=options.hostname,
            labels=tuple(sorted((options.labels or {}).items())),
            sysctls=sysctls,
            cgroup_parent=options.cgroup_parent,
            share_parent=options.share_parent,
            limits=limits,
            ports=of_pod(self._engine, options.ports, asked, infra=options.infra, shared="net" in kinds),
            shm_size_bytes=DEFAULT_SHM_BYTES if options.shm_size is None else options.shm_size,
            create_command=tuple(options.create_command),
            mounts=self._mounts(options),
            host_address=host_address,
            **member_fields(options),
            **in_user,
            **of_network,
        )
        return fields, connections

    def _check_limits(self, limits: Limits | None, *, share_parent: bool) -> None:
        """Raise InvalidSpec or Unsupported for limits that the pod cannot have on this host."""
        from pypod.engine.resources.limits import settings_of

        if limits is None:
            return
        if not share_parent:
            message = "limits of a pod need --share-parent: without it, the members are outside the pod's cgroup"
            raise InvalidSpec("--share-parent", message)
        settings_of(self._engine, limits)

    def _user_namespace(self, options: PodOptions) -> Mapping[str, Any]:
        """Return the specification's fields for the user namespace asked for; empty for that of the host."""
        from pypod.engine.session.id_maps import USERNS_OPTIONS, USERNS_VARIABLE

        if not any(getattr(options, name) for name in USERNS_OPTIONS) and USERNS_VARIABLE not in os.environ:
            return {}
        from pypod.engine.session import userns_options

        found = userns_options.of_pod(self._engine, options)
        return {} if found["user_namespace"] == HOST else found

    def _mounts(self, options: PodOptions) -> tuple[Mount, ...]:
        """Return the mounts that every member gets; none without an infra, as in podman. Raises InvalidSpec."""
        if not options.infra or not (options.volumes or options.mounts or options.volumes_from):
            return ()
        from pypod.engine.specs.specs import mounts_of
        from pypod.engine.storage.sources import require_sources
        from pypod.engine.storage.volumes_from import with_volumes_from

        found = mounts_of(with_volumes_from(options, self._spec_of))
        require_sources(found)
        return found

    def _spec_of(self, ref: str) -> ContainerSpec:
        return self._engine.container_spec(records.find_container(self._engine.database, ref))

    def _image(self, image: Image | str) -> Image:
        return self._engine.images.for_container(image) if isinstance(image, str) else image

    def _add(self, spec: PodSpec, owner: str, image: Image | None, connections: Sequence[Connection]) -> types.Pod:
        from pypod.api.pod import Pod
        from pypod.engine.core import announce
        from pypod.store import networks

        record, infra_record = self._records(spec, owner)
        made: Sequence[VolumeRecord] = ()
        if infra_record is not None and image is not None:
            infra_record = _of_image(infra_record, spec, image)
        with self._engine.database.transaction() as connection, connection:
            records.add_pod(connection, record)
            if infra_record is not None:
                records.add_container(connection, infra_record)
                for one in connections:
                    networks.connect(connection, infra_record.id, one)
            if spec.mounts:
                from pypod.engine.storage import volumes

                made = volumes.add_missing(connection, spec.mounts, record.infra_id)
        self._engine.remember_pod(record, spec)
        if made:
            volumes.created(self._engine, made)
        announce.pod(self._engine, announce.CREATE, record, [infra_record] if infra_record else [])
        return Pod(self._engine, record.id, spec.name)

    def unsaved(
        self, name: str, options: Mapping[str, types.Any]
    ) -> tuple[types.PodRecord, types.ContainerRecord | None, tuple[types.Connection, ...]]:
        """Return the records that creating a pod with this name and only these network options would write.

        Raises what ``create`` raises.
        """
        from pypod.engine.networks.options import resolved
        from pypod.engine.specs.ports import of_pod
        from pypod.model.options.pod import PodOptions

        asked_of_pod = PodOptions(**options)
        asked, fields = _of_network(asked_of_pod, shared=True)
        connections = resolved(self._engine, asked, save=False)
        ports = of_pod(self._engine, asked_of_pod.ports, asked, infra=True, shared=True)
        spec = PodSpec(name=name, hostname=asked_of_pod.hostname, ports=ports, **fields)
        return *self._records(spec, ""), connections

    def _records(self, spec: PodSpec, owner: str) -> tuple[PodRecord, ContainerRecord | None]:
        from pypod.kernel.cgroups.driver import container_path

        identifier, infra_id = ids.new_id(), ids.new_id() if spec.infra else ""
        now_ns = time.time_ns()
        record = records.PodRecord(
            id=identifier,
            name=spec.name,
            created_ns=now_ns,
            infra_id=infra_id,
            owner=owner,
            **stored_specs.columns(spec),
        )
        if not spec.infra:
            return record, None
        return record, records.ContainerRecord(
            id=infra_id,
            name=spec.infra_name or f"{ids.short(identifier)}-infra",
            kind=records.INFRA,
            pod_id=identifier,
            created_ns=now_ns,
            image="",
            command=" ".join(spec.infra_command).encode("utf-8", "backslashreplace").decode(),
            cgroup=container_path(spec.cgroup_parent, identifier, infra_id),
            remove=0,
            owner=owner,
            spec_json=stored_specs.NO_SPEC,
        )


def _kinds(options: PodOptions) -> tuple[str, ...]:
    """Return the kinds of namespaces that a pod shares; a pod without an infra shares none by default."""
    share = () if not options.infra and options.share is DEFAULT_SHARE else options.share
    return parse_share(share if isinstance(share, str) else ",".join(share))


def _of_network(options: PodOptions, *, shared: bool) -> tuple[Asked, dict[str, Any]]:
    """Return the network that a pod's options ask for, and the fields of its specification. Raises InvalidSpec."""
    from pypod.engine.networks.options import dns_fields
    from pypod.engine.specs import specs

    asked = _asked(options, shared=shared)
    dns_words = dns_fields(asked, options)
    if not options.infra and any(dns_words.values()):
        raise InvalidSpec("--dns", "NoInfra and DNSServer are mutually exclusive pod options: invalid pod spec")
    no_hosts = options.no_hosts
    hosts = specs.check_add_hosts(options.add_hosts)
    specs.check_hosts(hosts, asked, no_hosts=no_hosts, infra=options.infra)
    fields = {"add_hosts": hosts, "no_hosts": no_hosts, "hosts_file": specs.check_hosts_file(options.hosts_file)}
    fields["no_hostname"] = options.no_hostname
    fields |= {"net": asked.mode.mode, "net_program": asked.program}
    return asked, {**fields, **dns_words}


def _asked(options: PodOptions, *, shared: bool) -> Asked:
    """Return the network that a pod asks for; none for a pod that does not share one. Raises InvalidSpec."""
    from pypod.engine.networks.options import asked_network

    if not options.infra and options.network:
        raise InvalidSpec("--network", "NoInfra and network modes cannot be used together")
    asked = asked_network(options)
    if asked.mode not in (PRIVATE, HOST):
        raise InvalidSpec("--network", f"pods presently do not support network mode {asked.name}")
    if options.infra and shared:
        return asked
    words = (options.network,) if isinstance(options.network, str) else tuple(options.network)
    if (asked.connections or asked.program) and not set(words) <= {"", "private", "default", "bridge"}:
        raise InvalidSpec("--network", "the pod does not share its net namespace", hint="add net to --share")
    return asked.replace(connections=(), program="")


def _of_image(infra: ContainerRecord, pod: PodSpec, image: Image) -> ContainerRecord:
    """Return the record of an infra that runs an image's command."""
    from pypod.engine.lifecycle.infra_image import infra_spec

    spec = infra_spec(pod, image, infra.name)
    return infra.replace(
        image=spec.image,
        image_id=image.id,
        command=" ".join(spec.command).encode("utf-8", "backslashreplace").decode(),
        **stored_specs.columns(spec),
    )
