"""The options of a container."""

from __future__ import annotations

from _collections_abc import Mapping, Sequence

from pypod.model.container import DEFAULT_STOP_TIMEOUT_S
from pypod.model.health import Healthcheck
from pypod.model.mount import Mount
from pypod.model.options import readers as read
from pypod.model.options.classes import field, frozen
from pypod.model.options.fields import NONE_GIVEN, about
from pypod.model.options.limits import SIZE, LimitOptions
from pypod.model.options.network import NetworkOptions, UserNamespaceOptions
from pypod.model.options.running import RunningOptions
from pypod.model.secret import SecretUse


@frozen(kw_only=True)
class ContainerOptions(RunningOptions, LimitOptions, NetworkOptions, UserNamespaceOptions):
    """The options of a container, besides its image and command. Sizes in bytes, times in seconds."""

    name: str = field(default="", metadata=about("Assign a name to the container"))
    rootfs: str = field(
        default="",
        converter=read.path,
        metadata=about("Directory to use as the container's root file system, possibly /, the host's own", flag=""),
    )
    overlay: bool | None = field(
        default=None,
        metadata=about(
            "Leave the directory unchanged and write to a layer on top (DIRECTORY:O of --rootfs); default True", flag=""
        ),
    )
    idmap: bool = field(
        default=False,
        metadata=about(
            "Treat the owners on disk as ids of its user namespace (DIRECTORY:idmap of --rootfs); default False",
            flag="",
        ),
    )
    entrypoint: Sequence[str] | None = field(
        default=None, metadata=about("Overwrite the default ENTRYPOINT of the image", kind="string")
    )
    environment: Mapping[str, str] = field(
        default=NONE_GIVEN,
        metadata=about("Set environment variables in container", flag="env", kind="stringArray", short="e"),
    )
    env_merge: Sequence[str] = field(
        default=(),
        metadata=about("Change an environment variable of the image, as in PATH=${PATH}:/opt/bin", kind="stringArray"),
    )
    unsetenv: Sequence[str] = field(
        default=(),
        metadata=about("Unset an environment variable of the image, or one of podman's own", kind="stringArray"),
    )
    unsetenv_all: bool = field(default=False, metadata=about("Unset all environment variables that no option sets"))
    working_directory: str = field(
        default="",
        converter=read.path,
        metadata=about("Working directory inside the container", flag="workdir", short="w"),
    )
    user: str = field(
        default="", converter=read.user, metadata=about("Username or UID (format: <name|uid>[:<group|gid>])", short="u")
    )
    groups: Sequence[str] = field(
        default=(),
        converter=read.users,
        metadata=about("Add additional groups to the primary container process", flag="group-add", kind="strings"),
    )
    passwd: bool = field(default=True, metadata=about("Add entries to /etc/passwd and /etc/group"))
    passwd_entry: str = field(default="", metadata=about("Entry to write to /etc/passwd"))
    umask: int = field(
        default=0o022, converter=read.umask, metadata=about("Set umask in container", kind="string", shown="0022")
    )
    hostname: str = field(default="", metadata=about("Set container hostname", short="h"))
    add_hosts: Sequence[str] = field(
        default=(),
        metadata=about(
            "Add a custom host-to-IP mapping (host:ip, or host:host-gateway)",
            flag="add-host",
            kind="stringArray",
            metavar="strings",
        ),
    )
    cap_add: Sequence[str] = field(default=(), metadata=about("Add capabilities to the container", kind="strings"))
    cap_drop: Sequence[str] = field(default=(), metadata=about("Drop capabilities from the container", kind="strings"))
    privileged: bool = field(default=False, metadata=about("Give extended privileges to container"))
    security_opt: Sequence[str] = field(default=(), metadata=about("Security Options", kind="stringArray"))
    volumes: Sequence[str] = field(
        default=(),
        converter=read.paths,
        metadata=about("Bind mount a volume into the container", flag="volume", kind="stringArray", short="v"),
    )
    mounts: Sequence[Mount] = field(
        default=(),
        converter=read.mounts,
        metadata=about("Attach a filesystem mount to the container", flag="mount", kind="stringArray"),
    )
    secrets: Sequence[SecretUse] = field(
        default=(),
        converter=read.secrets,
        metadata=about(
            "Give the container access to a secret: NAME[,type=mount|env][,target=][,uid=][,gid=][,mode=]",
            flag="secret",
            kind="stringArray",
        ),
    )
    tmpfs: Sequence[str] = field(
        default=(),
        metadata=about("Mount a temporary filesystem (tmpfs) into a container", kind="stringArray", metavar="tmpfs"),
    )
    volumes_from: Sequence[str] = field(
        default=(), metadata=about("Mount volumes from the specified container(s)", kind="stringArray")
    )
    image_volume: str = field(
        default="bind",
        metadata=about("How to handle the image's volumes: bind (a volume of the container's own), tmpfs, ignore"),
    )
    read_only: bool = field(default=False, metadata=about("Make containers root filesystem read-only"))
    shm_size: int | None = field(
        default=None,
        converter=read.shm,
        metadata=about("Size of /dev/shm", kind="string", shown="65536k", metavar=SIZE),
    )
    pid: str = field(default="", metadata=about("PID namespace to use"))
    ipc: str = field(default="", metadata=about("IPC namespace to use"))
    uts: str = field(default="", metadata=about("UTS namespace to use"))
    cgroupns: str = field(default="", metadata=about("cgroup namespace to use"))
    cgroup_parent: str = field(default="", metadata=about("Optional parent cgroup for the container"))
    init: bool = field(
        default=False,
        metadata=about("Run an init binary inside the container that forwards signals and reaps processes"),
    )
    ulimits: Sequence[str] = field(default=(), metadata=about("Ulimit options", flag="ulimit", kind="strings"))
    sysctls: Mapping[str, str] = field(
        default=NONE_GIVEN, metadata=about("Sysctl options", flag="sysctl", kind="strings")
    )
    labels: Mapping[str, str] = field(
        default=NONE_GIVEN, metadata=about("Set metadata on container", flag="label", kind="stringArray", short="l")
    )
    stop_signal: str | int | None = field(
        default=None, metadata=about("Signal to stop a container. Default is SIGTERM", kind="string")
    )
    init_container: str = field(
        default="",
        metadata=about("Run this container, 'always' or 'once', before the others of its pod", flag="init-ctr"),
    )
    restart: str = field(
        default="",
        metadata=about(
            'Restart policy to apply when a container exits ("always"|"no"|"on-failure"|"unless-stopped")',
            kind="string",
        ),
    )
    stop_timeout: int = field(
        default=DEFAULT_STOP_TIMEOUT_S,
        metadata=about("Timeout (in seconds) before a container stopped by a user is killed", kind="uint"),
    )
    interactive: bool = field(default=False, metadata=about("Keep STDIN open even if not attached", short="i"))
    terminal: bool = field(default=False, metadata=about("Allocate a pseudo-TTY for container", flag="tty", short="t"))
    remove: bool = field(
        default=False, metadata=about("Remove container (and pod if created) after exit", flag="rm", aliases=("purge",))
    )
    create_command: Sequence[str] = field(
        default=(), metadata=about("The command line that creates it, shown by inspect as CreateCommand", flag="")
    )
    healthcheck: Healthcheck | None = field(
        default=None,
        converter=read.healthcheck,
        metadata=about("The health check, as set by --health-cmd and others", flag=""),
    )
    exposed_ports: Sequence[str] = field(
        default=(), metadata=about("Expose a port or a range of ports", flag="expose", kind="strings")
    )
    publish_all: bool = field(
        default=False, metadata=about("Publish all exposed ports to random ports on the host", short="P")
    )
    pids_limit: int | None = field(
        default=None, metadata=about("Tune container pids limit (set -1 for unlimited)", shown=2048, spec="pids")
    )
    oom_score_adj: int | None = field(default=None, metadata=about("Tune the host's OOM preferences (-1000 to 1000)"))
