"""The form of ``podman inspect``: every field, in podman's order, with a default for those that pypod does not fill.

Tools that read podman's output access fields without checking that they exist. Field names and order are those of
libpod/define/container_inspect.go and pod_inspect.go of podman 4.3.
"""

from __future__ import annotations

from pypod.model.moment import NEVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "CONFIG",
    "CONTAINER",
    "HISTORY_ENTRY",
    "HOST_CONFIG",
    "IMAGE",
    "IMAGE_CONFIG",
    "INFRA_CONFIG",
    "MOUNT",
    "NETWORK",
    "NETWORK_SETTINGS",
    "STATE",
    "fill",
]


STATE: dict[str, Any] = {
    "OciVersion": "1.0.2",
    "Status": "",
    "Running": False,
    "Paused": False,
    "Restarting": False,
    "OOMKilled": False,
    "Dead": False,
    "Pid": 0,
    "ConmonPid": 0,
    "ExitCode": 0,
    "ExitCodeKnown": True,
    "Error": "",
    "StartedAt": NEVER,
    "FinishedAt": NEVER,
    "Health": {"Status": "", "FailingStreak": 0, "Log": None},
    "CgroupPath": "",
    "CheckpointedAt": NEVER,
    "RestoredAt": NEVER,
}

NETWORK_SETTINGS: dict[str, Any] = {
    "EndpointID": "",
    "Gateway": "",
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "MacAddress": "",
    "Bridge": "",
    "SandboxID": "",
    "HairpinMode": False,
    "LinkLocalIPv6Address": "",
    "LinkLocalIPv6PrefixLen": 0,
    "Ports": {},
    "SandboxKey": "",
}

# One entry of NetworkSettings.Networks; fields that NetworkSettings has itself come first.
NETWORK: dict[str, Any] = {
    "EndpointID": "",
    "Gateway": "",
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "MacAddress": "",
    "NetworkID": "",
    "DriverOpts": None,
    "IPAMConfig": None,
    "Links": None,
    "Aliases": [],
}

# LogPath is Docker's; podman has it only in HostConfig.LogConfig.
CONTAINER: dict[str, Any] = {
    "Id": "",
    "Created": NEVER,
    "Path": "",
    "Args": [],
    "State": {},
    "Image": "",
    "ImageDigest": "",
    "ImageName": "",
    "Rootfs": "",
    "Pod": "",
    "ResolvConfPath": "",
    "HostnamePath": "",
    "HostsPath": "",
    "LogPath": "",
    "StaticDir": "",
    "OCIRuntime": "pypod",
    "ConmonPidFile": "",
    "PidFile": "",
    "Name": "",
    "RestartCount": 0,
    "Driver": "overlay",
    "MountLabel": "",
    "ProcessLabel": "",
    "AppArmorProfile": "",
    "EffectiveCaps": None,
    "BoundingCaps": [],
    "ExecIDs": [],
    "GraphDriver": {"Name": "overlay", "Data": {}},
    "Mounts": [],
    "Dependencies": [],
    "NetworkSettings": NETWORK_SETTINGS,
    "Namespace": "",
    "IsInfra": False,
    "IsService": False,
    "Config": {},
    "HostConfig": {},
}

# The next three: libimage/inspect.go of containers/common 0.49, ImageConfig of the image specification's Go module.
IMAGE: dict[str, Any] = {
    "Id": "",
    "Digest": "",
    "RepoTags": [],
    "RepoDigests": [],
    "Parent": "",
    "Comment": "",
    "Created": NEVER,
    "Config": {},
    "Version": "",
    "Author": "",
    "Architecture": "",
    "Os": "",
    "Size": 0,
    "VirtualSize": 0,
    "GraphDriver": {"Name": "overlay", "Data": {}},
    "RootFS": {"Type": "layers", "Layers": []},
    "Labels": None,
    "Annotations": {},
    "ManifestType": "",
    "User": "",
    "History": [],
    "NamesHistory": [],
    "HealthCheck": None,
}

IMAGE_CONFIG: dict[str, Any] = {
    "User": "",
    "ExposedPorts": None,
    "Env": None,
    "Entrypoint": None,
    "Cmd": None,
    "Volumes": None,
    "WorkingDir": "",
    "Labels": None,
    "StopSignal": "",
    "ArgsEscaped": False,
}

HISTORY_ENTRY: dict[str, Any] = {
    "created": NEVER,
    "created_by": "",
    "author": "",
    "comment": "",
    "empty_layer": False,
}

MOUNT: dict[str, Any] = {
    "Type": "",
    "Source": "",
    "Destination": "",
    "Driver": "",
    "Mode": "",
    "Options": [],
    "RW": True,
    "Propagation": "",
}

CONFIG: dict[str, Any] = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": [],
    "Cmd": None,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "/",
    "Entrypoint": "",
    "OnBuild": None,
    "Labels": None,
    "Annotations": {},
    "StopSignal": 15,
    "HealthcheckOnFailureAction": "none",
    "CreateCommand": [],
    "Umask": "0022",
    "Timeout": 0,
    "StopTimeout": 10,
    "Passwd": False,
    "sdNotifyMode": "container",
}

HOST_CONFIG: dict[str, Any] = {
    "Binds": [],
    "CgroupManager": "cgroupfs",
    "CgroupMode": "private",
    "ContainerIDFile": "",
    "LogConfig": {"Type": "k8s-file", "Config": None, "Path": "", "Tag": "", "Size": "0B"},
    "NetworkMode": "none",
    "PortBindings": {},
    "RestartPolicy": {"Name": "", "MaximumRetryCount": 0},
    "AutoRemove": False,
    "VolumeDriver": "",
    "VolumesFrom": None,
    "CapAdd": [],
    "CapDrop": [],
    "Dns": [],
    "DnsOptions": [],
    "DnsSearch": [],
    "ExtraHosts": [],
    "GroupAdd": [],
    "IpcMode": "shareable",
    "Cgroup": "",
    "Cgroups": "default",
    "Links": None,
    "OomScoreAdj": 0,
    "PidMode": "private",
    "Privileged": False,
    "PublishAllPorts": False,
    "ReadonlyRootfs": False,
    "SecurityOpt": [],
    "Tmpfs": {},
    "UTSMode": "private",
    "UsernsMode": "",
    "IDMappings": None,
    "ShmSize": 0,
    "Runtime": "oci",
    "ConsoleSize": [0, 0],
    "Isolation": "",
    "CpuShares": 0,
    "Memory": 0,
    "NanoCpus": 0,
    "CgroupParent": "",
    "BlkioWeight": 0,
    "BlkioWeightDevice": None,
    "BlkioDeviceReadBps": None,
    "BlkioDeviceWriteBps": None,
    "BlkioDeviceReadIOps": None,
    "BlkioDeviceWriteIOps": None,
    "CpuPeriod": 0,
    "CpuQuota": 0,
    "CpuRealtimePeriod": 0,
    "CpuRealtimeRuntime": 0,
    "CpusetCpus": "",
    "CpusetMems": "",
    "Devices": [],
    "DiskQuota": 0,
    "Init": False,
    "KernelMemory": 0,
    "MemoryReservation": 0,
    "MemorySwap": 0,
    "MemorySwappiness": 0,
    "OomKillDisable": False,
    "PidsLimit": 0,
    "Ulimits": [],
    "CpuCount": 0,
    "CpuPercent": 0,
    "IOMaximumIOps": 0,
    "IOMaximumBandwidth": 0,
    "CgroupConf": None,
}

INFRA_CONFIG: dict[str, Any] = {
    "PortBindings": {},
    "HostNetwork": False,
    "StaticIP": "",
    "StaticMAC": "",
    "NoManageResolvConf": False,
    "DNSServer": None,
    "DNSSearch": None,
    "DNSOption": None,
    "NoManageHosts": False,
    "HostAdd": None,
    "Networks": None,
    "NetworkOptions": None,
    "cpu_period": 0,
    "cpu_quota": 0,
    "cpuset_cpus": "",
    "pid_ns": "private",
    "userns": "host",
    "uts_ns": "private",
}


def fill(form: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of ``form`` with ``values`` filled in. Raises KeyError for a value whose field the form lacks."""
    if unknown := values.keys() - form.keys():
        raise KeyError(min(unknown))
    return {name: _copy(values.get(name, default)) for name, default in form.items()}


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list | tuple) else value
