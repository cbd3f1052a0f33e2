"""The options of a pod."""

from __future__ import annotations

from _collections_abc import Mapping, Sequence

from pypod.model.mount import Mount
from pypod.model.namespace import DEFAULT_SHARE
from pypod.model.options import readers as read
from pypod.model.options.classes import field, frozen
from pypod.model.options.fields import about
from pypod.model.options.limits import SIZE, LimitOptions
from pypod.model.options.network import NetworkOptions, UserNamespaceOptions


@frozen(kw_only=True)
class InfraOptions(LimitOptions, UserNamespaceOptions):
    """The options of a pod that a clone of it may have otherwise. Sizes in bytes."""

    infra_name: str = field(default="", metadata=about("The name used as infra container name"))
    infra_command: Sequence[str] = field(
        default=(), metadata=about("A static program, or one of --infra-image, to run as the infra", kind="string")
    )
    hostname: str = field(default="", metadata=about("Set a hostname to the pod", short="h"))
    labels: Mapping[str, str] | None = field(
        default=None, metadata=about("Set metadata on pod", flag="label", kind="stringArray", short="l")
    )
    sysctls: Mapping[str, str] | None = field(
        default=None, metadata=about("Sysctl options", flag="sysctl", kind="strings")
    )
    shm_size: int | None = field(
        default=None,
        converter=read.shm,
        metadata=about("Size of /dev/shm", kind="string", shown="65536k", metavar=SIZE),
    )
    volumes: Sequence[str] = field(
        default=(),
        converter=read.paths,
        metadata=about("Bind mount a volume into the pod", flag="volume", kind="stringArray", short="v"),
    )
    volumes_from: Sequence[str] = field(
        default=(), metadata=about("Mount volumes from the specified container(s)", kind="stringArray")
    )
    pid: str = field(default="", metadata=about("PID namespace to use"))
    uts: str = field(default="", metadata=about("UTS namespace to use"))
    devices: Sequence[str] = field(
        default=(),
        converter=read.paths,
        metadata=about("Add a host device to the pod", flag="device", kind="strings"),
    )
    security_opt: Sequence[str] = field(default=(), metadata=about("Security Options", kind="stringArray"))
    infra_conmon_pidfile: str = field(
        default="", converter=read.path, metadata=about("Path to the file that will receive the PID of the infra")
    )
    cgroup_parent: str = field(default="", metadata=about("Set parent cgroup for the pod"))


@frozen(kw_only=True)
class PodOptions(InfraOptions, NetworkOptions):
    """The options of a pod, besides its name and the image of its infra. Sizes in bytes."""

    share: str | Sequence[str] = field(
        default=DEFAULT_SHARE,
        metadata=about(
            "A comma delimited list of kernel namespaces the pod will share", kind="string", shown="ipc,net,uts"
        ),
    )
    infra: bool = field(default=True, metadata=about("Create an infra container associated with the pod"))
    add_hosts: Sequence[str] = field(
        default=(),
        metadata=about(
            "Add a custom host-to-IP mapping (host:ip, or host:host-gateway)", flag="add-host", kind="strings"
        ),
    )
    mounts: Sequence[Mount] = field(
        default=(),
        converter=read.mounts,
        metadata=about("Attach a filesystem mount to every member of the pod", flag=""),
    )
    exit_policy: str = field(
        default="",
        metadata=about("Behaviour when the last container exits: continue, stop", shown="continue"),
    )
    restart: str = field(
        default="",
        metadata=about("Restart policy of the containers that are created in the pod without one", kind="string"),
    )
    create_command: Sequence[str] = field(
        default=(), metadata=about("The command line that creates it, shown by inspect as CreateCommand", flag="")
    )
    share_parent: bool = field(
        default=True,
        metadata=about("Set the pod's cgroup as the cgroup parent for all containers joining the pod"),
    )
