"""The start of a pod's infra, the process that holds the pod's namespaces. It is resolved once, into a value."""

from __future__ import annotations

from pypod.engine.core import announce, effects, kept_records
from pypod.engine.lifecycle import files
from pypod.engine.lifecycle.derived import pod_hostname
from pypod.engine.lifecycle.steps import Launch, Program
from pypod.engine.networks import bridges, network_ops, user_network
from pypod.engine.networks.running import networks_of
from pypod.engine.resources import groups
from pypod.engine.session import id_maps, session
from pypod.engine.storage import overlay
from pypod.kernel import idmap
from pypod.kernel.programs import LAUNCHER
from pypod.kernel.programs import path as program_path
from pypod.model.value import Value
from pypod.runtime.compiler.plans import infra_ops
from pypod.runtime.compiler.surroundings import WHOLE_MAPS, Surroundings
from pypod.runtime.ops import Op, plan
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import Self

    from pypod.engine.core.context import Context
    from pypod.engine.lifecycle.steps import Step
    from pypod.engine.networks.running import Attachment
    from pypod.engine.session.id_maps import Maps
    from pypod.engine.session.session import Session
    from pypod.engine.storage.drivers import Driver
    from pypod.model.container import ContainerSpec
    from pypod.model.pod import PodSpec
    from pypod.runtime.ops import Plan
    from pypod.store.records import ContainerRecord, PodRecord


def program(context: Context) -> Program:
    """Return the program that starts an infra; a rootless one keeps running for the infra's network program."""
    return Program(name=LAUNCHER, group=groups.monitors(context) if context.rootless else "")


class InfraStart(Value):
    """A resolved start of an infra that has not been performed.

    ``image`` is the specification of an infra that runs an image; ``driver`` then provides its root file system, which
    gets the owner and mode of ``root``.
    """

    context: Context
    record: ContainerRecord
    pod: PodRecord
    spec: PodSpec
    directory: str
    session: Session | None
    maps: Maps | None
    group: groups.Group
    image: ContainerSpec | None
    driver: Driver | None
    root: os.stat_result | None

    @classmethod
    def resolve(cls, context: Context, record: ContainerRecord, pod: PodRecord, *, asking: bool = False) -> Self:
        """Resolve a start of this infra as of now; with ``asking`` storage drivers are probed."""
        directory, spec = context.layout.container(record.id), context.pod_spec(pod)
        image = context.container_spec(record) if record.image_id else None
        return cls(
            context=context,
            record=record,
            pod=pod,
            spec=spec,
            directory=directory,
            session=session.of(context),
            maps=id_maps.maps_of(context, spec),
            group=groups.of_infra(context, record, spec),
            image=image,
            driver=overlay.driver_of(context, image, directory, asking=asking) if image else None,
            root=overlay.root_status(context.layout, image) if image else None,
        )

    def steps(self, attached: tuple[Attachment, ...], undo: Callable[[], object] | None = None) -> list[Step]:
        """Return the steps in order, for an infra with these attachments; ``undo`` stops the infra again."""
        context, record, spec = self.context, self.record, self.spec
        launch = Launch(
            program(context),
            lambda: self.plan(attached),
            identifier=record.id,
            forwarded=user_network.forwarded(context, spec),
            meanwhile=(files.of_pod(context, self.pod, spec, record, attached),),
            undo=undo,
        )
        return [
            effects.directory(self.directory),
            *user_network.preparations(context, record.id, spec),
            *self._root(),
            *groups.renewal(context, self.group),
            *bridges.preparations(context, networks_of(attached)),
            kept_records.keep(context, record, self.pod, networks_of(attached)),
            launch,
            *network_ops.once_running(context, spec, attached),
        ]

    def _root(self) -> list[effects.Effect]:
        if self.image is None or self.root is None:
            return []
        return overlay.preparations(self.context, self.driver, self.image, self.directory, self.root, read_only=True)

    def plan(self, attached: tuple[Attachment, ...]) -> Plan:
        """Return the plan of the launcher and of the infra that it creates, with these attachments."""
        if self.image is not None:
            from pypod.engine.lifecycle import infra_image

            root = overlay.read_only_root(self.context, self.driver, self.image, self.directory)
            around = self._surroundings(attached).replace(root=root)
            ops = infra_image.image_ops(self.context, self.record, self.image, pod_hostname(self.spec), around)
            return plan([*self._settings(attached), *root.settings], ops)
        spec = self.spec
        pause = (program_path("pause"), "pypod-infra", *(("3",) if records.parse_owner(self.pod.owner) else ()))
        ops = infra_ops(
            spec.held,
            hostname=pod_hostname(spec),
            shm_size_bytes=spec.shm_size_bytes,
            around=self._surroundings(attached),
            pause=(spec.infra_command[0], *spec.infra_command) if spec.infra_command else pause,
            sysctls=spec.sysctls,
            host_net=spec.net == "host",
        )
        return plan(self._settings(attached), ops)

    def _settings(self, attached: tuple[Attachment, ...]) -> list[Op]:
        context, record = self.context, self.record
        owner = records.parse_owner(self.pod.owner)
        return [
            *session.ops(context, self.session),
            Op("status", f"{self.directory}/status", context.boot_id),
            Op("leave"),
            announce.event_op(context, record, self.pod, end=""),
            *([Op("owner", owner.pid, owner.start_time)] if owner else []),
            *([Op("pid_file", self.spec.infra_conmon_pidfile)] if self.spec.infra_conmon_pidfile else []),
            *network_ops.host_ops(context, record.id, self.pod.name, self.spec, attached, watched=False),
        ]

    def _surroundings(self, attached: tuple[Attachment, ...]) -> Surroundings:
        context, record, maps = self.context, self.record, self.maps
        cgroups = context.cgroups
        return Surroundings(
            target=context.layout.merged,
            keep_groups=self.session is not None and self.session.has_one_id,
            maps=(idmap.lines(maps[0]), idmap.lines(maps[1])) if maps else WHOLE_MAPS,
            ids=id_maps.root_of(maps),
            born_in=cgroups.tracking_directory(record.cgroup) if cgroups.clones_into_cgroup else "",
            join_files=cgroups.join_files(record.cgroup, self.group.trees),
            network=network_ops.inside_ops(context, self.spec, attached),
        )
