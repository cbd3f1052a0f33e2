"""The /etc/hosts and related files of a container: its own, its pod's, or those of the owner of its network."""

from __future__ import annotations

from pypod.engine.core.effects import Effect
from pypod.engine.lifecycle.derived import hostname_of, pod_hostname
from pypod.engine.networks import etc_files, member_names
from pypod.model.namespace import POD, PRIVATE
from pypod.model.network_flags import NO_RESOLV_CONF
from pypod.store import networks, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.engine.core.context import Context
    from pypod.engine.networks.running import Attachment
    from pypod.model.container import ContainerSpec
    from pypod.model.pod import PodSpec
    from pypod.store.records import ContainerRecord, PodRecord


_ZONE_LIMIT_BYTES = 1 << 20


def of_container(
    context: Context,
    record: ContainerRecord,
    spec: ContainerSpec,
    pod: PodSpec | None,
    attached: Sequence[Attachment],
    *,
    running: bool = False,
) -> list[Effect]:
    """Return the effects that write the files of a container with these attachments; a member only adds its name."""
    if spec.net == POD and record.pod_id:
        on_host = pod is not None and pod.net == "host"
        return [] if on_host else [member_names.added(f"{context.layout.pod(record.pod_id)}/hosts", record.name)]
    directory, hostname = context.layout.container(record.id), hostname_of(record, spec, pod)
    on_host, names = spec.net.mode == "host", (record.name,)
    return [
        etc_files.network_files(
            directory,
            spec,
            hostname,
            names,
            attached,
            on_host=on_host,
            running=running,
            layers=_layers(context, spec),
        )
    ]


def _layers(context: Context, spec: ContainerSpec) -> list[str]:
    """Return the directories of a container's image, the uppermost first, if its /etc/hosts starts from the image's."""
    if spec.hosts_file != "image":
        return []
    return [f"{context.layout.image_layers}/{name}" for name in spec.layers] if spec.image else [spec.rootfs]


def of_pod(
    context: Context,
    pod: PodRecord,
    spec: PodSpec,
    infra: ContainerRecord,
    attached: Sequence[Attachment] = (),
    *,
    running: bool = False,
) -> Effect:
    """Return the effect that writes the files shared by the members of a pod with these attachments."""
    directory, names = context.layout.pod(pod.id), (infra.name, spec.name)
    on_host = spec.net == "host"
    write = etc_files.network_files(
        directory, spec, pod_hostname(spec), names, attached, on_host=on_host, running=running
    )
    return _with_members(context, pod, write) if running else write


def _with_members(context: Context, pod: PodRecord, write: Effect) -> Effect:
    """Return the effect that writes the files of a running pod and keeps the names of the members in them."""
    hosts = f"{context.layout.pod(pod.id)}/hosts"
    names = [one.name for one in records.all_containers(context.database, pod_id=pod.id)]

    def perform() -> None:
        running = member_names.listed(hosts, names)
        write.perform()
        member_names.add(hosts, *running)

    return Effect(write.words, write.page, perform)


def localtime(directory: str, spec: ContainerSpec) -> list[Effect]:
    """Return the effect that copies the file of a container's time zone, none without one."""
    if not spec.timezone:
        return []
    from pypod.engine.core.effects import Effect

    path, zone = f"{directory}/localtime", spec.timezone
    return [Effect(f"write {path} for the time zone {zone}", "tzfile(5)", lambda: _copy_zone(zone, path))]


def _copy_zone(zone: str, path: str) -> None:
    from pypod.engine.specs.running import timezone_file

    with open(timezone_file(zone), "rb") as source, open(path, "wb") as copy:
        copy.write(source.read(_ZONE_LIMIT_BYTES))


def shown(
    context: Context, record: ContainerRecord, spec: ContainerSpec, pod: PodSpec | None, *, connected: bool = False
) -> tuple[str, str]:
    """Return the host paths of a container's /etc/hosts and /etc/resolv.conf, empty where the root's own are kept.

    They belong to the owner of its network: itself, its pod, or another container. ``connected``: that one will be
    connected to a network, though the store does not know yet.
    """
    if spec.net.mode == "container":
        other = records.find_container(context.database, spec.net.target)
        other_pod = context.pod_spec(records.find_pod(context.database, other.pod_id)) if other.pod_id else None
        spec = spec.replace(net=POD) if other.kind == records.INFRA else context.container_spec(other)
        return shown(context, other, spec, other_pod)
    asked: ContainerSpec | PodSpec = spec
    directory, owner, is_private = context.layout.container(record.id), record.id, spec.net == PRIVATE
    if pod is not None and spec.net == POD:
        asked, owner, is_private = pod, record.pod_id, pod.net == PRIVATE.mode
        directory = context.layout.pod(owner)
    hosts = "" if asked.no_hosts else f"{directory}/hosts"
    # as podman: without a network there is nobody to ask
    told = connected or asked.net_program or asked.dns_servers or asked.dns_search or asked.dns_options
    alone = is_private and not told and not networks.is_connected(context.database, owner)
    return hosts, "" if alone or NO_RESOLV_CONF in asked.dns_servers else f"{directory}/resolv.conf"


def of_root(context: Context, record: ContainerRecord) -> tuple[str, ...]:
    """Return which of the files are not a container's own: its root's show, if it has them."""
    pod = context.pod_spec(records.find_pod(context.database, record.pod_id)) if record.pod_id else None
    spec = context.container_spec(record)
    return left_out(spec, *shown(context, record, spec, pod))


def left_out(spec: ContainerSpec, hosts: str, resolv_conf: str) -> tuple[str, ...]:
    """Return which of the files a container does not get, of which these are ``shown``."""
    given = (hosts and not spec.no_hosts, not spec.no_hostname, resolv_conf)
    return tuple(name for name, has in zip(etc_files.NAMES, given, strict=True) if not has)
