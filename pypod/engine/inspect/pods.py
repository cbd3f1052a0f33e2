"""``podman pod inspect``."""

from __future__ import annotations

from pypod.engine.core import observe
from pypod.engine.inspect import form, mounts
from pypod.engine.inspect.containers import cgroup_path, devices_of
from pypod.engine.inspect.networks import bindings
from pypod.kernel.cgroups.driver import container_path
from pypod.model.limits import Limits
from pypod.model.moment import Timestamp
from pypod.model.network_flags import NO_RESOLV_CONF
from pypod.model.pod import CONTINUE, pod_status
from pypod.store import records, stored_specs
from pypod.store.networks import names_of_container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.engine.core.context import Context
    from pypod.model.pod import PodSpec
    from pypod.store.records import PodRecord


def inspect_pod(context: Context, record: PodRecord) -> dict[str, Any]:
    """Return a pod's configuration, status and containers, under podman's names and in podman's order."""
    spec = stored_specs.pod_spec(record)
    everyone = [
        (one, observe.state_of(context, one.id)) for one in records.all_containers(context.database, pod_id=record.id)
    ]
    infra = next((state for one, state in everyone if one.kind == records.INFRA), None)
    group = container_path(spec.cgroup_parent, "", record.id)
    return {
        "Id": record.id,
        "Name": record.name,
        "Created": Timestamp(record.created_ns),
        "CreateCommand": list(spec.create_command),
        "ExitPolicy": spec.exit_policy or CONTINUE,
        "State": pod_status(infra, [state for one, state in everyone if one.counts_in_pod]),
        "Hostname": spec.hostname,
        "Labels": dict(spec.labels),
        "CreateCgroup": spec.infra,
        "CgroupParent": group.rpartition("/")[0],
        "CgroupPath": cgroup_path(context, group) if spec.infra else "",
        "CreateInfra": spec.infra,
        "InfraContainerID": record.infra_id,
        "InfraConfig": _infra_config(spec, names_of_container(context.database, record.infra_id)) if spec.infra else {},
        "SharedNamespaces": list(spec.share) if spec.infra else [],
        "NumContainers": len(everyone),
        "Containers": [{"Id": one.id, "Name": one.name, "State": state.status} for one, state in everyone],
        **({"mounts": mounts.shown(context, spec.mounts)} if spec.mounts else {}),
        **({"security_opt": list(spec.security_opt)} if spec.security_opt else {}),
        **({"devices": devices_of(spec.devices)} if spec.devices else {}),
        **_limits_of_pod(spec),
    }


# podman's name of a pod limit, and ours
_POD_LIMITS = {
    "cpu_period": "cpu_period_us",
    "cpu_quota": "cpu_quota_us",
    "cpu_shares": "cpu_shares",
    "cpuset_cpus": "cpuset_cpus",
    "cpuset_mems": "cpuset_mems",
    "device_read_bps": "device_read_bps",
    "device_write_bps": "device_write_bps",
    "memory_limit": "memory_bytes",
    "memory_swap": "memory_swap_bytes",
    "blkio_weight": "blkio_weight",
    "blkio_weight_device": "blkio_weight_device",
    # which podman's pods lack
    "device_read_iops": "device_read_iops",
    "device_write_iops": "device_write_iops",
    "memory_reservation": "memory_reservation_bytes",
    "pids_limit": "pids",
}
_INFRA_LIMITS = ("cpu_period", "cpu_quota", "cpuset_cpus")


def _limits_of_pod(spec: PodSpec) -> dict[str, Any]:
    limits = spec.limits or Limits()
    found = {}
    for name, field in _POD_LIMITS.items():
        value = getattr(limits, field)
        if isinstance(value, tuple):
            number = "Weight" if name == "blkio_weight_device" else "Rate"
            value = [{"Path": path, number: one} for path, one in value]
        found[name] = 0 if value is None else value
    return found


def _infra_config(spec: PodSpec, networks: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {
        "PortBindings": bindings(spec.ports),
        "HostNetwork": spec.net == "host",
        "NoManageResolvConf": NO_RESOLV_CONF in spec.dns_servers,
        "DNSServer": [one for one in spec.dns_servers if one != NO_RESOLV_CONF] or None,
        "DNSSearch": list(spec.dns_search) or None,
        "DNSOption": list(spec.dns_options) or None,
        "NoManageHosts": spec.no_hosts,
        "HostAdd": list(spec.add_hosts) or None,
        "Networks": networks or None,
        "pid_ns": str(spec.pid),
        "uts_ns": str(spec.uts) if "uts" in spec.share else "host",
        "userns": "private" if "user" in spec.share else "host",
    }
    limits = _limits_of_pod(spec)
    return form.fill(form.INFRA_CONFIG, values | {name: limits[name] for name in _INFRA_LIMITS})
