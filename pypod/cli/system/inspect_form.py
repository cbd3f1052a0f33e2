"""The engine's inspection data in Go's form: structs, maps and times, and the fields that JSON omits."""

from __future__ import annotations

from pypod.cli.go.json import json_text
from pypod.cli.go.values import Duration, Moment, NilList, NilMap, Struct
from pypod.model.moment import Timestamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["as_json", "for_template", "network_struct", "text_of_json"]

# the second set belongs to networks
_MAPS = frozenset(
    ("Annotations", "Data", "Labels", "NetworkOptions", "Networks", "Options", "PortBindings", "Ports", "Tmpfs")
) | frozenset(("labels", "options", "ipam_options", "containers", "interfaces"))
_SETS = frozenset(("ExposedPorts", "Volumes"))  # maps to struct{}
# Go prints a nil list and a nil map like empty ones; only in JSON are they null.
_NIL_LISTS = frozenset(
    (
        "Entrypoint",
        "Cmd",
        "DNSOption",
        "DNSSearch",
        "DNSServer",
        "EffectiveCaps",
        "HostAdd",
        "Links",
        "Log",
        "OnBuild",
        "VolumesFrom",
    )
)
_NIL_MAPS = _MAPS | _SETS | {"CgroupConf", "Config"}
# The fields that podman marks with omitempty, by form; a form is identified by a field that no other form has.
_OMIT_EMPTY = {
    "NumContainers": frozenset(
        (
            *(
                "CgroupPath",
                "Containers",
                "CreateCommand",
                "InfraConfig",
                "InfraContainerID",
                "Labels",
                "SharedNamespaces",
            ),
            *("blkio_weight", "blkio_weight_device", "cpu_period", "cpu_quota", "cpu_shares", "cpuset_cpus"),
            *("cpuset_mems", "device_read_bps", "device_write_bps", "memory_limit", "memory_swap"),
            *("device_read_iops", "device_write_iops", "memory_reservation", "pids_limit"),
        )
    ),
    "pid_ns": frozenset(("cpu_period", "cpu_quota", "cpuset_cpus")),
    "OOMKilled": frozenset(("CgroupPath", "ConmonPid")),
    "CgroupConf": frozenset(("IDMappings", "Init")),
    "sdNotifyMode": frozenset(("CreateCommand",)),
    "Test": frozenset(("Interval", "Retries", "StartPeriod", "Timeout")),
    "RootFS": frozenset(("HealthCheck",)),
    "ExposedPorts": frozenset(
        (
            "ArgsEscaped",
            "Cmd",
            "Entrypoint",
            "Env",
            "ExposedPorts",
            "Labels",
            "StopSignal",
            "User",
            "Volumes",
            "WorkingDir",
        )
    ),
    "empty_layer": frozenset(("author", "comment", "created", "created_by", "empty_layer")),
    "Mountpoint": frozenset(("Anonymous", "GID", "NeedsChown", "NeedsCopyUp", "UID")),
}
# Fields whose names in JSON differ from Go's.
_GO_NAMES = {
    "blkio_weight": "BlkioWeight",
    "blkio_weight_device": "BlkioWeightDevice",
    "cpu_period": "CPUPeriod",
    "cpu_quota": "CPUQuota",
    "cpu_shares": "CPUShares",
    "cpuset_cpus": "CPUSetCPUs",
    "cpuset_mems": "CPUSetMems",
    "device_read_bps": "BlkioDeviceReadBps",
    "device_write_bps": "BlkioDeviceWriteBps",
    "device_read_iops": "BlkioDeviceReadIOps",
    "device_write_iops": "BlkioDeviceWriteIOps",
    "memory_limit": "MemoryLimit",
    "memory_reservation": "MemoryReservation",
    "memory_swap": "MemorySwap",
    "pids_limit": "PidsLimit",
    "devices": "Devices",
    "mounts": "Mounts",
    "pid_ns": "PidNS",
    "sdNotifyMode": "SdNotifyMode",
    "userns": "UserNS",
    "uts_ns": "UtsNS",
    "security_opt": "SecurityOpts",
    "author": "Author",
    "comment": "Comment",
    "created": "Created",
    "created_by": "CreatedBy",
    "empty_layer": "EmptyLayer",
}

# What templates find in the fields that JSON omits, by form.
_UNSET: dict[str, dict[str, Any]] = {
    "NumContainers": {
        "Namespace": "",
        **dict.fromkeys(("Devices", "Mounts", "SecurityOpts", "VolumesFrom"), NilList()),
    },
    "ExecIDs": {"OCIConfigPath": "", "SizeRootFs": 0, "SizeRw": None},
    "OOMKilled": {
        **dict.fromkeys(("CheckpointLog", "CheckpointPath", "RestoreLog"), ""),
        **dict.fromkeys(("Checkpointed", "Restored"), False),
    },
    "SandboxKey": {"Networks": NilMap()},
    "sdNotifyMode": {
        "ChrootDirs": NilList(),
        "Healthcheck": None,
        "Secrets": NilList(),
        "SystemdMode": False,
        "Timezone": "",
    },
    "Mountpoint": {"Status": NilMap(), "StorageID": "", "Timeout": 0},
}


class _Formed(Struct):
    """A struct created from ``form``, the engine's data, which JSON shows."""

    form: dict[str, Any]


class _Inspected(_Formed):
    """A struct whose id is also accessible as ID, and whose health as Healthcheck."""

    def __init__(self, form: dict[str, Any]) -> None:
        super().__init__((_GO_NAMES.get(str(key), str(key)), for_template(item, key)) for key, item in form.items())
        self.form = form

    def __missing__(self, key: str) -> Any:
        unset: dict[str, Any] = next((fields for mark, fields in _UNSET.items() if mark in self.form), {})
        if key in unset:
            return unset[key]
        return self[{"ID": "Id", "Healthcheck": "Health"}[key]]


class _Healthcheck(_Formed):
    """A health check: JSON has its times as numbers of nanoseconds."""

    def __init__(self, form: dict[str, Any]) -> None:
        times = {name: Duration(form.get(name, 0)) for name in ("StartPeriod", "Interval", "Timeout")}
        super().__init__({"Test": form["Test"], **times, "Retries": form.get("Retries", 0)})
        self.form = form


class _Network(_Formed):
    """A network in the form of podman 4.3; the additional fields of newer versions are computed on demand."""

    def __init__(self, form: dict[str, Any]) -> None:
        super().__init__(
            Name=form["name"],
            ID=form["id"],
            Driver=form["driver"],
            NetworkInterface=form.get("network_interface", ""),
            Created=for_template(form["created"]),
            Subnets=[_Subnet(one) for one in form.get("subnets", ())],
            IPv6Enabled=form["ipv6_enabled"],
            Internal=form["internal"],
            DNSEnabled=form["dns_enabled"],
            Labels=form.get("labels", {}),
            Options=form.get("options", {}),
            IPAMOptions=form["ipam_options"],
        )
        self.form = form

    def __missing__(self, key: str) -> Any:
        if key == "Routes":
            return [
                Struct(Destination=one["destination"], Gateway=one["gateway"], Metric=one["metric"])
                for one in self.form.get("routes", ())
            ]
        return self.form.get({"NetworkDNSServers": "network_dns_servers", "Containers": "containers"}[key]) or []


class _Subnet(_Formed):
    """A subnet: ``.Subnet`` by itself is a string, but as part of the struct Go prints address and mask bytes."""

    def __init__(self, form: dict[str, Any]) -> None:
        address, _, prefix = form["subnet"].partition("/")
        bits = 128 if ":" in address else 32
        mask = (1 << bits) - (1 << bits - int(prefix))
        lease = form.get("lease_range")
        super().__init__(
            Subnet=Struct(IPNet=Struct(IP=address, Mask=f"{mask:0{bits // 4}x}")),
            Gateway=form["gateway"],
            LeaseRange=Struct(StartIP=lease["start_ip"], EndIP=lease["end_ip"]) if lease else None,
        )
        self.form = form

    def __getitem__(self, key: str) -> Any:
        return self.form["subnet"] if key == "Subnet" else super().__getitem__(key)


def network_struct(form: dict[str, Any]) -> Struct:
    """Return a network in the form for templates."""
    return _Network(form)


# Go's types of fields, as they are in messages.
_TYPE_NAMES = {
    "Config": "*define.InspectContainerConfig",
    "GraphDriver": "*define.DriverData",
    "Healthcheck": "*manifest.Schema2HealthConfig",
    "HostConfig": "*define.InspectContainerHostConfig",
    "ImageConfig": "*v1.ImageConfig",
    "LogConfig": "*define.InspectLogConfig",
    "NetworkSettings": "*define.InspectNetworkSettings",
    "RestartPolicy": "*define.InspectRestartPolicy",
    "RootFS": "*inspect.RootFS",
    "State": "*define.InspectContainerState",
}
# The forms that are not just fields, by a field that no other form has.
_FORMS: dict[str, type[_Formed]] = {"ipam_options": _Network, "Test": _Healthcheck}


def as_json(value: Any, name: str = "") -> Any:
    """Return ``value`` with structs in their order and without the fields that podman's JSON omits."""
    if isinstance(value, dict):
        if name in _MAPS or name in _SETS:
            return {key: as_json(item) for key, item in value.items()}
        omitted: frozenset[str] = next((names for mark, names in _OMIT_EMPTY.items() if mark in value), frozenset())
        return Struct((key, as_json(item, key)) for key, item in value.items() if item or key not in omitted)
    return [as_json(item) for item in value] if isinstance(value, list) else value


def for_template(value: Any, name: str = "") -> Any:
    """Return ``value`` in the form for templates."""
    if value is None:
        return NilMap() if name in _NIL_MAPS else NilList() if name in _NIL_LISTS else None
    if isinstance(value, Timestamp):
        return Moment(value.ns, value)
    if isinstance(value, dict):
        if name in _MAPS:
            return {key: for_template(item) for key, item in value.items()}
        if name in _SETS:
            return {key: Struct() for key in value}
        form = next((form for mark, form in _FORMS.items() if mark in value), _Inspected)(value)
        form.type_name = _TYPE_NAMES.get(_named(name, value), "interface {}")
        return form
    return [for_template(item) for item in value] if isinstance(value, list) else value


def _named(name: str, value: dict[str, Any]) -> str:
    return "ImageConfig" if name == "Config" and "Hostname" not in value else name


def text_of_json(value: Any) -> str:
    """Return a template's value as JSON, with structs as they are shown without a template."""
    return json_text(_form(value))


def _form(value: Any) -> Any:
    if isinstance(value, _Formed):
        return as_json(value.form)
    return [_form(item) for item in value] if isinstance(value, list) and value else value
