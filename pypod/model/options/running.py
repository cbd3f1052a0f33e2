"""Further options of a container: its environment, ids and files, and who learns of its process."""

from __future__ import annotations

from _collections_abc import Mapping, Sequence

from pypod.model.options import readers as read
from pypod.model.options.classes import field, frozen
from pypod.model.options.fields import NONE_GIVEN, Options, about
from pypod.model.options.limits import SIZE


@frozen(kw_only=True)
class RunningOptions(Options):
    """Options of a container that pods do not have. Sizes in bytes, times in seconds."""

    timezone: str = field(default="", metadata=about("Set timezone in container", flag="tz"))
    annotations: Mapping[str, str] = field(
        default=NONE_GIVEN,
        metadata=about("Add annotations to container (key=value)", flag="annotation", kind="strings"),
    )
    host_environment: bool = field(
        default=False,
        metadata=about("Use all current host environment variables in container", flag="env-host"),
    )
    http_proxy: bool = field(
        default=True, metadata=about("Set proxy environment variables in the container based on the host proxy vars")
    )
    personality: str = field(
        default="", metadata=about("Configure execution domain using personality (e.g., LINUX/LINUX32)")
    )
    devices: Sequence[str] = field(
        default=(),
        converter=read.paths,
        metadata=about("Add a host device to the container", flag="device", kind="strings"),
    )
    device_cgroup_rules: Sequence[str] = field(
        default=(),
        metadata=about("Add a rule to the cgroup allowed devices list", flag="device-cgroup-rule", kind="strings"),
    )
    cgroups: str = field(
        default="enabled",
        metadata=about(
            'control container cgroup configuration ("enabled"|"disabled"|"no-conmon"|"split")', kind="string"
        ),
    )
    cgroup_conf: Mapping[str, str] = field(
        default=NONE_GIVEN, metadata=about("Configure cgroup v2 (key=value)", flag="cgroup-conf", kind="strings")
    )
    requires: Sequence[str] = field(
        default=(),
        metadata=about(
            "Add one or more requirement containers that must be started before this container will start",
            kind="strings",
        ),
    )
    init_path: str = field(default="", converter=read.path, metadata=about("Path to the container-init binary"))
    read_only_tmpfs: bool = field(
        default=True,
        metadata=about("When running containers in read-only mode mount a read-write tmpfs on /run, /tmp and /var/tmp"),
    )
    chroot_directories: Sequence[str] = field(
        default=(),
        converter=read.paths,
        metadata=about("Chroot directories inside the container", flag="chrootdirs", kind="strings"),
    )
    host_users: Sequence[str] = field(
        default=(),
        converter=read.users,
        metadata=about("Host user account to add to /etc/passwd within container", flag="hostuser", kind="strings"),
    )
    group_entry: str = field(default="", metadata=about("Entry to write to /etc/group"))
    systemd: str = field(
        default="true",
        converter=read.systemd,
        metadata=about('Run container in systemd mode ("true"|"false"|"always")', kind="string"),
    )
    shm_size_systemd: int | None = field(
        default=None,
        converter=read.shm_systemd,
        metadata=about("Size of systemd specific tmpfs mounts (/run, /run/lock)", kind="string", metavar=SIZE),
    )
    timeout: int = field(
        default=0, metadata=about("Maximum length of time a container is allowed to run, in seconds", kind="uint")
    )
    pidfile: str = field(default="", converter=read.path, metadata=about("Write the container process ID to the file"))
    conmon_pidfile: str = field(
        default="", converter=read.path, metadata=about("Path to the file that will receive the PID of the monitor")
    )
    seccomp_policy: str = field(
        default="default", metadata=about("Policy for selecting a seccomp profile: default, image")
    )
