"""Create containers: from the options to a specification, and from that to a record."""

from __future__ import annotations

import os
import time
from _collections_abc import Sequence

from pypod.api import types
from pypod.engine.core.boundary import Boundary
from pypod.errors import InvalidSpec, NoSuchContainer
from pypod.model import ids
from pypod.model.namespace import JOINABLE
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from pypod.api.images.image import Image
    from pypod.api.options.create import MemberOptions
    from pypod.api.pod import Pod
    from pypod.engine.configuration.files import Settings
    from pypod.model.container import ContainerSpec
    from pypod.model.network import Connection
    from pypod.model.options.container import ContainerOptions
    from pypod.model.pod import PodSpec
    from pypod.model.port import Port
    from pypod.model.secret import SecretUse
    from pypod.model.volume import VolumeRecord
    from pypod.store.records import ContainerRecord, PodRecord


def _image_and_command(asked: MemberOptions) -> tuple[Image | str | None, Sequence[str] | str]:
    """Return the image (None with a root file system instead) and the command."""
    image, command = asked.image, asked.command
    if asked.rootfs:
        if not isinstance(image, str | tuple) or (image and command is not None):
            raise InvalidSpec("rootfs", "an image and rootfs cannot be given together")
        return None, image if command is None else command
    if not image or isinstance(image, tuple):
        raise InvalidSpec("--rootfs", "an image or --rootfs is required")
    return image, () if command is None else command  # type: ignore[return-value]


class Creation:
    """Creates containers of an engine, or explains what that would do."""

    __slots__ = ("_engine",)

    def __init__(self, engine: types.Engine) -> None:
        self._engine = engine

    def create(self, asked: MemberOptions, pod: Pod | str | None = None, *, ephemeral: bool = False) -> types.Container:
        """Create a container, in a pod or outside any. Raises what ``Containers.create`` raises."""
        from pypod.engine.configuration import current
        from pypod.engine.core.free_names import under_free_name
        from pypod.engine.networks.options import resolved
        from pypod.engine.specs import configured
        from pypod.engine.specs.ports import of_options
        from pypod.engine.specs.specs import asked_of

        base, command = _image_and_command(asked)
        pod_record = None
        if pod is not None:
            pod_record = records.find_pod(self._engine.database, pod if isinstance(pod, str) else pod.id)
        pod_spec = self._engine.pod_spec(pod_record) if pod_record else None
        owner = str(self._engine.owner()) if ephemeral else (pod_record.owner if pod_record else "")
        pull = asked.pull if asked.asked("pull") else ""
        settings = current.of(self._engine)
        asked = configured.of_container(self._engine, settings, asked, pod_spec)

        with Boundary("create container"):
            if asked.init_container:
                from pypod.engine.containers import init_containers

                init_containers.check(self._engine, asked.init_container, pod_record)
            connections = resolved(self._engine, asked_of(asked, pod_spec))
            found, options, command = self._with_image(settings, base, pull, asked, command, pod_spec)
            ports = of_options(self._engine, options, asked_of(options, pod_spec))
            secrets = self._secrets(options)

        def create(name: str) -> types.Container:
            pod_id = pod_record.id if pod_record else ""
            spec = self._specified(settings, options, command, name, pod_id, pod_spec, found, ports, secrets)
            self._require_possible(spec)

            def add(spec: ContainerSpec) -> types.Container:
                return self._add(self._record(spec, pod_spec, owner, found.id if found else ""), spec, connections)

            if spec.user_namespace.mode != "auto":
                return add(spec)
            from pypod.engine.session import auto_ids

            return auto_ids.given(self._engine, spec, add)

        with Boundary("create container"):
            return create(asked.name) if asked.name else under_free_name(create)

    def _specified(
        self,
        settings: Settings,
        options: ContainerOptions,
        command: Sequence[str] | str,
        name: str,
        pod_id: str,
        pod: PodSpec | None,
        image: Image | None,
        ports: Sequence[Port],
        secrets: Sequence[SecretUse],
    ) -> ContainerSpec:
        """Return the specification of a container with complete options. Raises what ``create`` raises for them."""
        from pypod.engine.specs import configured
        from pypod.engine.specs.specs import container_spec

        capabilities = configured.capabilities(settings)
        spec = container_spec(
            command, options, name=name, pod_id=pod_id, pod=pod, image=image, capabilities=capabilities
        )
        spec = self._with_user_namespace(spec, options, pod)
        without_option = configured.without_option(self._engine, settings, spec)
        return spec.replace(ports=ports, secrets=secrets, **self._references(spec), **without_option)

    def _require_possible(self, spec: ContainerSpec) -> None:
        """Raise what a start would, before the container exists: for sources and limits that cannot be had."""
        from pypod.engine.resources.groups import conf_settings
        from pypod.engine.resources.limits import settings_of

        if spec.mounts:
            from pypod.engine.storage.sources import require_sources

            require_sources(spec.mounts)
            if any(mount.type == "image" for mount in spec.mounts):
                from pypod.engine.lifecycle.special_mounts import require_images

                require_images(self._engine, spec.mounts)
        if spec.limits is not None:
            settings_of(self._engine, spec.limits)  # raises for unsupported limits
        conf_settings(self._engine, spec.cgroup_conf)

    def _with_image(
        self,
        settings: Settings,
        base: Image | str | None,
        pull: str,
        options: ContainerOptions,
        command: Sequence[str] | str,
        pod: PodSpec | None,
    ) -> tuple[Image | None, ContainerOptions, Sequence[str] | str]:
        """Return the image, and options and command completed from other containers and the image's configuration.

        ``pull`` says when the image is pulled; empty for what the configuration says.
        """
        from pypod.engine.specs import configured
        from pypod.engine.specs.variables import with_variables
        from pypod.engine.storage.volumes_from import with_pod_mounts, with_volumes_from

        options = with_pod_mounts(with_volumes_from(options, self._spec_of), pod)
        variables = configured.variables(settings)
        if base is None:
            return None, with_variables(options, variables), command
        from pypod.engine.specs.image_defaults import with_defaults
        from pypod.model.images.auto_update import require_full_name

        found = base
        if isinstance(found, str):
            require_full_name(options.labels, found)
            found = self._engine.images.for_container(found, pull or configured.pull_policy(settings))
        return found, *with_defaults(options, command, found.config, variables)

    def _secrets(self, options: ContainerOptions) -> tuple[SecretUse, ...]:
        if not options.secrets:
            return ()
        from pypod.engine.storage import secrets

        return secrets.resolved(self._engine, options.secrets)

    def _spec_of(self, ref: str) -> ContainerSpec:
        return self._engine.container_spec(records.find_container(self._engine.database, ref))

    def _with_user_namespace(
        self, spec: ContainerSpec, options: ContainerOptions, pod: PodSpec | None
    ) -> ContainerSpec:
        from pypod.engine.session.id_maps import USERNS_OPTIONS, USERNS_VARIABLE

        in_pod = pod is not None and pod.user_namespace.mode == "keep-id"
        if (
            not in_pod
            and not any(getattr(options, name) for name in USERNS_OPTIONS)
            and USERNS_VARIABLE not in os.environ
        ):
            return spec
        from pypod.engine.session import userns_options

        return userns_options.of_container(self._engine, spec, options, pod)

    def _references(self, spec: ContainerSpec) -> dict[str, Any]:
        """Return the fields that name other containers, by id: a name may pass to another container.

        Raises NoSuchContainer, and InvalidSpec for a namespace's path that does not exist, or an IPC namespace that its
        container keeps to itself.
        """
        if any(spec.namespace(kind).mode == "ns" for kind in JOINABLE):
            from pypod.engine.lifecycle.joining import require_paths

            require_paths(spec)
        joined = {kind: mode for kind in JOINABLE if (mode := spec.namespace(kind)).mode == "container"}
        found = {mode.target: self._joined(kind, mode.target) for kind, mode in joined.items()}
        if "ipc" in joined:
            self._require_shareable(found[joined["ipc"].target])
        fields = {"user": "user_namespace"}
        by_id = {fields.get(kind, kind): mode.replace(target=found[mode.target].id) for kind, mode in joined.items()}
        return {"requires": self._required(spec.requires), **by_id}

    def _joined(self, kind: str, ref: str) -> ContainerRecord:
        try:
            return records.find_container(self._engine.database, ref)
        except NoSuchContainer as error:
            error.message = f"looking up container to share {kind} namespace with: {error.message}"
            raise

    def _required(self, refs: Sequence[str]) -> tuple[str, ...]:
        found = []
        for ref in refs:
            try:
                found.append(records.find_container(self._engine.database, ref).id)
            except NoSuchContainer as error:
                message = f'"{ref}" is not a valid container, cannot be used as a dependency: {error.message}'
                raise InvalidSpec("--requires", message) from error
        return tuple(dict.fromkeys(found))

    def _require_shareable(self, record: ContainerRecord) -> None:
        if record.kind == records.CONTAINER and self._engine.container_spec(record).ipc_private:
            message = f"joining IPC of container {record.id} is not allowed: non-shareable IPC"
            hint = "(hint: use IpcMode:shareable for the donor container)"  # podman's
            raise InvalidSpec("--ipc", f"{message} {hint}")

    def _add(self, record: ContainerRecord, spec: ContainerSpec, connections: Sequence[Connection]) -> types.Container:
        from pypod.api.container import Container
        from pypod.engine.core import announce
        from pypod.store import networks

        made: Sequence[VolumeRecord] = ()
        contents = self._copied_secrets(spec)
        with Boundary("create container"), self._engine.database.transaction() as connection, connection:
            if spec.secrets:
                from pypod.store import secrets

                secrets.require(connection, [use.secret_id for use in spec.secrets])
            records.add_container(connection, record)
            if contents:
                from pypod.engine.storage.secrets import keep_copies

                keep_copies(self._engine, record.id, contents)
            for one in connections:
                networks.connect(connection, record.id, one)
            if spec.mounts:
                from pypod.engine.storage import volumes

                made = volumes.add_missing(connection, spec.mounts)
        self._engine.remember(record, spec)
        if made:
            volumes.created(self._engine, made)
        announce.container(self._engine, announce.CREATE, record)
        return Container(self._engine, record.id, spec.name)

    def _copied_secrets(self, spec: ContainerSpec) -> Mapping[str, bytes]:
        if not any(use.copied for use in spec.secrets):
            return {}
        from pypod.engine.storage.secrets import copied

        return copied(self._engine, spec)

    def _record(self, spec: ContainerSpec, pod: PodSpec | None, owner: str, image_id: str = "") -> ContainerRecord:
        from pypod.store import stored_specs

        identifier = ids.new_id()
        parent = spec.cgroup_parent or (pod.cgroup_parent if pod else "")
        group = spec.pod_id if pod is not None and pod.share_parent else ""
        return records.ContainerRecord(
            id=identifier,
            name=spec.name,
            kind=records.CONTAINER,
            pod_id=spec.pod_id,
            created_ns=time.time_ns(),
            image=spec.image,
            # for display only: the spec has arguments that are not UTF-8 as they were given
            command=" ".join(spec.command).encode("utf-8", "backslashreplace").decode(),
            cgroup=self._cgroup(spec, parent, group, identifier),
            remove=int(spec.remove),
            owner=owner,
            image_id=image_id,
            **stored_specs.columns(spec),
        )

    def _cgroup(self, spec: ContainerSpec, parent: str, group: str, identifier: str) -> str:
        """Return the path of its cgroup, empty for none."""
        from pypod.kernel.cgroups.driver import container_path

        if spec.cgroups == "disabled":
            return ""
        if spec.cgroups != "split":
            return container_path(parent, group, identifier)
        from pypod.engine.resources.groups import split_path

        return split_path(self._engine, identifier)

    def explain(self, asked: types.ExplainOptions) -> types.Explanation:
        """Return the explanation of a run; see ``Containers.explain``."""
        from pypod.api.pod import Pod
        from pypod.engine.configuration import current
        from pypod.engine.networks.options import of_new_pod
        from pypod.engine.specs import configured

        pod = asked.pod
        options: ContainerOptions = asked
        base, command = _image_and_command(asked)
        pod_record, infra_record = None, None
        of_pod: tuple[Connection, ...] = ()
        if pod is not None:
            pod_record = records.find_pod(self._engine.database, pod.id if isinstance(pod, Pod) else pod)
            if pod_record.infra_id:
                infra_record = records.find_container(self._engine.database, pod_record.infra_id)
        elif asked.new_pod:
            of_network = of_new_pod(options.given())
            pod_record, infra_record, of_pod = self._engine.pods.unsaved(asked.new_pod, of_network)
            options = options.without(of_network)
        pod_spec = self._engine.pod_spec(pod_record) if pod_record else None
        settings = current.of(self._engine)
        options = configured.of_container(self._engine, settings, options, pod_spec)
        found, options, command = self._with_image(settings, base, "never", options, command, pod_spec)
        return self._explained(settings, asked, options, command, found, pod_record, infra_record, of_pod)

    def _explained(
        self,
        settings: Settings,
        asked: types.ExplainOptions,
        options: ContainerOptions,
        command: Sequence[str] | str,
        found: Image | None,
        pod_record: PodRecord | None,
        infra_record: ContainerRecord | None,
        of_pod: tuple[Connection, ...],
    ) -> types.Explanation:
        from pypod.engine.lifecycle import explain
        from pypod.engine.lifecycle.start import Caller
        from pypod.engine.networks.options import resolved
        from pypod.engine.specs.ports import of_options
        from pypod.engine.specs.specs import asked_of

        pod_id, pod_spec = (pod_record.id, self._engine.pod_spec(pod_record)) if pod_record else ("", None)
        network = asked_of(options, pod_spec)
        ports, secrets = of_options(self._engine, options, network), self._secrets(options)
        name = options.name or ids.new_name()
        spec = self._specified(settings, options, command, name, pod_id, pod_spec, found, ports, secrets)
        if spec.user_namespace.mode == "auto":
            from pypod.engine.session import auto_ids

            spec = auto_ids.allocated(self._engine, spec)
        connections = resolved(self._engine, network, save=False)
        with Boundary("explain"):
            record = self._record(spec, pod_spec, "", found.id if found else "")
            caller = Caller(asked.columns, asked.rows)
            return explain.of_run(
                self._engine,
                record,
                spec,
                pod_record,
                infra_record,
                caller,
                attended=asked.attended,
                asked=connections,
                asked_by_pod=of_pod,
            )
