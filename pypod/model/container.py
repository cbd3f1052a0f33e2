"""The specification and the observed state of a container."""

from __future__ import annotations

from pypod.errors import InvalidSpec
from pypod.kernel.abi import SIGTERM
from pypod.model import types
from pypod.model.ids import check_hostname, check_name
from pypod.model.namespace import HOST, OWN_IDS, POD, PRIVATE, Mode
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.kernel.idmap import Range
    from pypod.model.health import Healthcheck
    from pypod.model.limits import Limits
    from pypod.model.port import Port
    from pypod.model.secret import SecretUse

DEFAULT_SHM_BYTES = 65_536_000  # podman's 65536k, which counts in thousands
DEFAULT_STOP_TIMEOUT_S = 10
KEEP_GROUPS = "keep-groups"  # podman's value for keeping the caller's supplementary groups
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_ENVIRONMENT = (("PATH", DEFAULT_PATH), ("TERM", "xterm"), ("container", "podman"))


class Ulimit(Value):
    """A resource limit: the OCI name (``RLIMIT_NOFILE``), soft and hard; -1 is unlimited."""

    name: str
    soft: int
    hard: int


class ContainerSpec(Value):
    """The specification of a container: immutable, stored, and replaced by another only for a new name or new limits.

    A field with its default is not stored, so a default never changes. ``host_users`` are lines for /etc/passwd,
    ``systemd_tmpfs_bytes`` is the size of each tmpfs that systemd gets, ``seccomp_profile`` the profile in the image's
    labels.
    """

    name: str
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    rootfs: str = ""
    overlay: bool = True
    idmap: bool = False
    image: str = ""
    layers: tuple[str, ...] = ()
    pod_id: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    unset_environment: tuple[str, ...] = ()
    working_directory: str = "/"
    create_working_directory: bool = False
    user: str = ""
    groups: tuple[str, ...] = ()
    passwd: bool = True
    passwd_entry: str = ""
    hostname: str = ""
    add_hosts: tuple[str, ...] = ()
    no_hosts: bool = False
    no_hostname: bool = False
    hosts_file: str = ""
    host_address: str = ""
    log_tag: str = ""
    capabilities: tuple[str, ...] = ()
    added_capabilities: tuple[str, ...] = ()
    privileged: bool = False
    seccomp: str = ""
    no_new_privileges: bool = False
    masks: tuple[str, ...] = ()
    unmasks: tuple[str, ...] = ()
    proc_options: tuple[str, ...] = ()
    mounts: tuple[types.Mount, ...] = ()
    volumes_from: tuple[str, ...] = ()
    read_only: bool = False
    read_only_tmpfs: bool = True
    net: Mode = PRIVATE
    net_program: str = ""
    pid: Mode = PRIVATE
    ipc: Mode = PRIVATE
    uts: Mode = PRIVATE
    cgroup: Mode = PRIVATE
    no_shm: bool = False
    ipc_private: bool = False
    user_namespace: Mode = HOST
    uid_map: tuple[Range, ...] = ()
    gid_map: tuple[Range, ...] = ()
    init: bool = False
    ulimits: tuple[Ulimit, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    stop_signal: int = SIGTERM
    stop_timeout_s: int = DEFAULT_STOP_TIMEOUT_S
    shm_size_bytes: int = DEFAULT_SHM_BYTES
    interactive: bool = False
    terminal: bool = False
    remove: bool = False
    init_container: str = ""
    restart_policy: str = ""
    restart_retries: int = 0
    cgroup_parent: str = ""
    limits: Limits | None = None
    oom_score_adj: int | None = None
    umask: int = 0o022
    annotations: tuple[tuple[str, str], ...] = ()
    timezone: str = ""
    personality: str = ""
    init_path: str = ""
    chroot_directories: tuple[str, ...] = ()
    host_users: tuple[str, ...] = ()
    group_entry: str = ""
    systemd: bool = False
    systemd_tmpfs_bytes: int | None = None
    seccomp_profile: str = ""
    devices: tuple[types.Device, ...] = ()
    device_rules: tuple[str, ...] = ()
    cgroups: str = "enabled"
    cgroup_conf: tuple[tuple[str, str], ...] = ()
    requires: tuple[str, ...] = ()
    timeout_s: int = 0
    pidfile: str = ""
    conmon_pidfile: str = ""
    healthcheck: Healthcheck | None = None
    exposed_ports: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    dns_servers: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    secrets: tuple[SecretUse, ...] = ()
    create_command: tuple[str, ...] = ()
    hooks_directories: tuple[str, ...] = ()

    def check(self) -> None:
        check_name(self.name, where="running container create option: ")
        if not self.image and not self.rootfs.startswith("/"):
            raise InvalidSpec("--rootfs", f"invalid rootfs {self.rootfs!r}: must be an absolute path")
        if not self.entrypoint and not self.command:
            raise InvalidSpec("command", "no command or entrypoint provided, and no CMD or ENTRYPOINT from image")
        if not self.working_directory.startswith("/"):
            raise InvalidSpec(
                "--workdir",
                f"the working directory {self.working_directory!r} is invalid, it needs to be an absolute path",
            )
        if self.hostname:
            check_hostname(self.hostname)
            if self.uts != PRIVATE:
                where = "joining the pod" if self.uts == POD else "running in the host"
                where = "joining another containers" if self.uts.mode == "container" else where
                raise InvalidSpec(
                    "--hostname",
                    f"cannot set hostname when {where} UTS namespace: invalid configuration",
                    hint="set it on the pod, or use --uts private" if self.uts == POD else "",
                )
        if any("\0" in word for word in (*self.command, *self.entrypoint, *(f"{k}{v}" for k, v in self.environment))):
            raise InvalidSpec("command", "arguments and variables must not contain a NUL byte")
        if not 0 <= self.stop_timeout_s <= 2**31:
            raise InvalidSpec("--stop-timeout", f"invalid stop timeout {self.stop_timeout_s}: must not be negative")
        if self.shm_size_bytes < 0:
            raise InvalidSpec("--shm-size", "shm size must not be negative")
        if self.oom_score_adj is not None and not -1000 <= self.oom_score_adj <= 1000:
            raise InvalidSpec("--oom-score-adj", f"--oom-score-adj: {self.oom_score_adj} is not between -1000 and 1000")
        self.health_command()

    @property
    def arguments(self) -> tuple[str, ...]:
        """The command line to execute: entrypoint and command."""
        return (*self.entrypoint, *self.command)

    def health_command(self) -> tuple[str, ...]:
        """Return the words that check the health; empty without a check or with NONE. Raises InvalidSpec."""
        return self.healthcheck.command() if self.healthcheck is not None else ()

    def namespace(self, kind: str) -> Mode:
        """Return the mode of one kind of namespace; mount namespaces are always private."""
        if kind == "user":
            return PRIVATE if self.user_namespace.mode in OWN_IDS else self.user_namespace
        return PRIVATE if kind == "mnt" else getattr(self, kind)


class ContainerState(Value):
    """A snapshot of what was observed.

    ``status`` is created, initialized, running, paused, stopping or exited. ``exit_code`` is None before the exit, and
    also when it is unknown: then ``exit_code_known`` is False. ``oom_killed`` says of an exited container that the
    kernel killed a process in it for lack of memory. ``restarts`` counts how often its monitor has started it again
    since somebody started it; ``restarting`` says of an exited container that it is about to do so. Times are
    nanoseconds since the epoch, 0 when not applicable. ``pid`` and ``start_time`` (clock ticks since boot) are those of
    the init process, 0 when it is gone.
    """

    status: str
    pid: int = 0
    start_time: int = 0
    supervisor_pid: int = 0
    supervisor_start_time: int = 0
    started_ns: int = 0
    finished_ns: int = 0
    exit_code: int | None = None
    signal: int = 0
    oom_killed: bool = False
    restarts: int = 0
    restarting: bool = False

    @property
    def running(self) -> bool:
        """Whether its program is running, be it paused or stopping."""
        return self.status in ("running", "paused", "stopping")

    @property
    def alive(self) -> bool:
        """Whether it has processes: it is running, or initialized."""
        return self.status in ("running", "paused", "stopping", "initialized")

    @property
    def active(self) -> bool:
        """Whether it has processes, or its monitor is about to start it again: what it uses must stay."""
        return self.alive or self.restarting

    @property
    def exit_code_known(self) -> bool:
        """False when the container has ended with an unknown exit code."""
        return self.status != "exited" or self.exit_code is not None
