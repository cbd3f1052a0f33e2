"""From an OCI runtime specification to a plan. Pure: reads no file and makes no system call."""

from __future__ import annotations

from pypod.kernel.abi import (
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    KIND_OF_OCI_NAME,
    NAMESPACES,
)
from pypod.kernel.capabilities import mask
from pypod.kernel.idmap import ALL_IDS
from pypod.kernel.pidfd import Process
from pypod.model.value import Value
from pypod.runtime.oci import ACCOUNT_ANNOTATION, GROUPS_ANNOTATION, USER_ANNOTATION
from pypod.runtime.ops import MOUNT_ATTRIBUTES, MS_BIND, MS_PRIVATE, MS_REC, MS_SLAVE, Op, Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Joined or made in the child; pid and user count before the clone, mnt and cgroup have operations of their own.
_IN_CHILD = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
_PROPAGATIONS = {"private": MS_PRIVATE, "rprivate": MS_PRIVATE, "slave": MS_SLAVE, "rslave": MS_SLAVE}
_CHARACTER = 0o020000  # S_IFCHR of inode(7)
_DEVICES = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0))
_LINKS = (
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("/proc/kcore", "/dev/core"),
    ("pts/ptmx", "/dev/ptmx"),
)
# sys/resource.h of Linux; the same on every architecture but MIPS, SPARC and Alpha
RESOURCES = {
    name: number
    for number, name in enumerate(
        "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME".split()
    )
}
_UNLIMITED = 2**64 - 1
WHOLE_MAPS = (f"0 0 {ALL_IDS}\n", f"0 0 {ALL_IDS}\n")


# Mount options that are none of the file system's.
_OURS = ("rw", "newinstance", "tmpcopyup", "copy")


class Join(Value):
    """Namespaces to join: those of ``kinds`` that ``process`` is in, each known by its inode; or one at ``path``."""

    kinds: tuple[str, ...]
    process: Process | None = None
    path: str = ""
    inodes: tuple[tuple[str, int], ...] = ()

    @property
    def flags(self) -> int:
        """The CLONE_NEW* bits of the kinds."""
        return sum(NAMESPACES[kind].clone_flag for kind in self.kinds)


class Surroundings(Value):
    """What a plan needs to know of the host beyond the OCI configuration.

    ``maps`` are those of a pod's own user namespace, of user and group ids; ``keep_groups``: the one around allows no
    change of the supplementary groups.
    """

    overlay: str = ""
    base: str = ""
    target: str
    joins: tuple[Join, ...] = ()
    shm_of: Process | None = None
    born_in: str = ""
    join_files: tuple[str, ...] = ()
    seccomp: bytes = b""
    seccomp_flags: int = 0
    create_cwd: bool = False
    devices: tuple[tuple[str, int, int, int], ...] = ()
    keyring: str = ""
    network: tuple[Op, ...] = ()
    maps: tuple[str, str] = WHOLE_MAPS
    keep_groups: bool = False
    copies: str = ""  # directory for copies of files of a root that is not to be written to


def container_ops(config: dict[str, Any], around: Surroundings) -> list[Op]:
    """Return the operations from clone to exec for the first process of a container."""
    kinds = {KIND_OF_OCI_NAME[entry["type"]] for entry in config["linux"]["namespaces"] if "path" not in entry}
    user_namespace = any("user" in join.kinds for join in around.joins)
    return [
        *_clone(kinds, config, around, user_namespace),
        *_enter_group(kinds, around),
        *_names(kinds, config),
        Op("keyring", around.keyring),
        *_root(config, around),
        *_mounts(config, around),
        *_devices(config, around),
        *around.network,
        *_account(config, around),
        *[Op("sysctl", key.replace(".", "/"), value) for key, value in config["linux"]["sysctl"].items()],
        *[Op("mask", path) for path in config["linux"]["maskedPaths"]],
        *[Op("read_only", path) for path in config["linux"]["readonlyPaths"]],
        # the image's working directory, while it can be made
        *([Op("directory", config["process"]["cwd"])] if around.create_cwd and config["root"]["readonly"] else []),
        Op("pivot"),
        *([Op("read_only_root")] if config["root"]["readonly"] else []),
        *process_ops(config, around),
    ]


def _clone(kinds: set[str], config: dict[str, Any], around: Surroundings, user_namespace: bool) -> list[Op]:
    own = sum(NAMESPACES[kind].clone_flag for kind in kinds if kind != "cgroup")
    before = oom_score(config["process"])
    after: list[Op] = []
    for join in around.joins:
        if join.process is None:
            (before if "pid" in join.kinds else after).append(Op("join_path", join.flags, join.path))
            continue
        process = join.process
        if "pid" in join.kinds:
            before.append(Op("join", process.pid, process.start_time, CLONE_NEWPID))
        flags = join.flags & (_IN_CHILD | CLONE_NEWCGROUP)
        if flags:
            after.append(Op("join", process.pid, process.start_time, flags))
        after += [Op("expect", kind, inode) for kind, inode in join.inodes if kind not in ("pid", "user")]
    if not user_namespace:
        return [*before, Op("clone", own, around.born_in), *after]
    # Ids of a user namespace own only what is made after joining it: join first, then clone again.
    owner = next(join.process for join in around.joins if "user" in join.kinds and join.process)
    join_user = Op("join", owner.pid, owner.start_time, CLONE_NEWUSER)
    return [*before, Op("clone", 0, around.born_in), *_join_files(around), join_user, Op("clone", own, ""), *after]


def _join_files(around: Surroundings) -> list[Op]:
    return [Op("join_group", path) for path in around.join_files]


def oom_score(process: dict[str, Any]) -> list[Op]:
    """Return what sets the score of the out-of-memory killer, with the host's rights: before there is a process."""
    return [Op("oom_score", process["oomScoreAdj"])] if "oomScoreAdj" in process else []


def _enter_group(kinds: set[str], around: Surroundings) -> list[Op]:
    user_namespace = any("user" in join.kinds for join in around.joins)
    joined = [] if user_namespace else _join_files(around)
    # after the group is joined: the namespace's root is where its maker is
    return [*joined, *([Op("unshare", CLONE_NEWCGROUP)] if "cgroup" in kinds else [])]


def _own_network() -> list[Op]:
    # Root may ping without CAP_NET_RAW, as containers.conf(5) has it. This is done through the host's /proc: it shows a
    # process the sysctls of its own namespace.
    return [Op("loopback"), Op("sysctl", "net/ipv4/ping_group_range", "0 0")]


def _names(kinds: set[str], config: dict[str, Any]) -> list[Op]:
    ops = _own_network() if "net" in kinds else []
    if "uts" in kinds and config["hostname"]:
        ops.append(Op("hostname", config["hostname"]))
    return ops


def _root(config: dict[str, Any], around: Surroundings) -> list[Op]:
    ops = [Op("propagation", MS_REC | MS_SLAVE)]
    # Everything of the host is taken before the container's files are mounted: no path of theirs can interfere.
    if around.shm_of:
        ops.append(Op("capture", 0, around.shm_of.pid, around.shm_of.start_time, "/dev/shm"))
    for slot, mount in enumerate(_binds(config), 1):
        ops.append(Op("open_tree", slot, mount["source"], int("rbind" in mount["options"])))
    if around.overlay:
        if around.base:
            ops.append(Op("base", around.base))
        return [*ops, Op("root", "overlay", "overlay", around.target, 0, around.overlay)]
    return [*ops, Op("root", "", config["root"]["path"], around.target, MS_BIND | MS_REC, "")]


def _binds(config: dict[str, Any]) -> list[dict[str, Any]]:
    return [mount for mount in config["mounts"] if mount["type"] == "bind"]


def _mounts(config: dict[str, Any], around: Surroundings) -> list[Op]:
    ops = []
    slots = {mount["destination"]: slot for slot, mount in enumerate(_binds(config), 1)}
    for mount in config["mounts"]:
        words, target = mount["options"], mount["destination"]
        attributes = sum(MOUNT_ATTRIBUTES.get(word, 0) for word in words)
        if mount["type"] == "bind":
            propagation = sum(_PROPAGATIONS.get(word, 0) for word in words)
            name = "bind_with_content" if "copy" in words else "bind"
            ops.append(Op(name, slots[target], target, attributes, propagation, int("rbind" in words)))
            continue
        own = [word for word in words if word not in MOUNT_ATTRIBUTES and word not in _OURS]
        name = "mount_with_content" if "tmpcopyup" in words else "mount"
        ops.append(Op(name, mount["type"], mount["source"], target, attributes, *own))
    if around.shm_of:
        ops.append(Op("bind", 0, "/dev/shm", sum(MOUNT_ATTRIBUTES[w] for w in ("nosuid", "noexec", "nodev")), 0, 0))
    return ops


def _devices(config: dict[str, Any], around: Surroundings) -> list[Op]:
    ops: list[Op] = []
    if not any(mount["destination"] == "/dev" and mount["type"] == "bind" for mount in config["mounts"]):
        ops = [Op("device", f"/dev/{name}", major, minor, _CHARACTER | 0o666) for name, major, minor in _DEVICES]
        ops += [Op("device", path, major, minor, mode) for path, major, minor, mode in around.devices]
        ops += [Op("symlink", text, target) for text, target in _LINKS]
    return [*ops, Op("console", 1)] if config["process"]["terminal"] else ops


def _account(config: dict[str, Any], around: Surroundings) -> list[Op]:
    annotations = config["annotations"]
    entry = annotations.get(ACCOUNT_ANNOTATION, "")
    return [Op("account", annotations[USER_ANNOTATION], around.copies, *entry.split("$GID"))] if entry else []


def process_ops(config: dict[str, Any], around: Surroundings) -> list[Op]:
    """Return the operations that make a process what the configuration says, up to its exec."""
    process = config["process"]
    annotations = config["annotations"]
    groups = [name for name in annotations.get(GROUPS_ANNOTATION, "").split(",") if name]
    user = annotations.get(USER_ANNOTATION, "")
    filters = [Op("seccomp", around.seccomp, around.seccomp_flags)] if around.seccomp else []
    no_new = [Op("no_new_privileges")] if process["noNewPrivileges"] else []
    # Without no_new_privs only CAP_SYS_ADMIN may set a filter: then before capabilities go (seccomp(2)).
    limited = [*_capabilities(process, user)]
    secured = [*no_new, *limited, *filters] if no_new else [*filters, *limited]
    return [
        *[_limit(entry) for entry in process["rlimits"]],
        *([Op("keep_groups")] if around.keep_groups else []),
        Op("user", user or "0", *groups),
        Op("umask", oct(process["user"]["umask"]).replace("0o", "0")),
        Op("working_directory", process["cwd"], int(around.create_cwd)),
        Op("environment", *process["env"]),
        *secured,
        Op("execute", *process["args"]),
    ]


def _limit(entry: dict[str, Any]) -> Op:
    number = RESOURCES[entry["type"].removeprefix("RLIMIT_")]
    soft, hard = (_UNLIMITED if value < 0 else value for value in (entry["soft"], entry["hard"]))
    return Op("resource_limit", number, soft, hard)


def is_root(user: str) -> bool:
    """Return whether ``user`` (NAME or ID, with or without a group) is spelled as the superuser."""
    return user.partition(":")[0] in ("", "0", "root")


def _capabilities(process: dict[str, Any], user: str) -> list[Op]:
    sets = process["capabilities"]
    bounding = mask(sets["bounding"])
    if is_root(user):
        held = (mask(sets["effective"]), mask(sets["permitted"]), 0, 0)
    else:
        # An ordinary user has those that --cap-add names, as podman does: exec keeps them only if they are ambient
        # (capabilities(7)). The others come from the bounding set through setuid programs.
        added = mask(sets["ambient"])
        held = (added, added, added, added)
    return [Op("capabilities", *(f"{bits:x}" for bits in (bounding, *held)))]


def infra_ops(
    share: tuple[str, ...],
    *,
    hostname: str,
    shm_size_bytes: int,
    around: Surroundings,
    pause: tuple[str, ...],
    sysctls: tuple[tuple[str, str], ...] = (),
    host_net: bool = False,
) -> list[Op]:
    """Return the operations from clone to exec for a pod's infra: namespaces, and an empty read-only root."""
    kinds = [kind for kind in share if not (kind == "net" and host_net)]
    flags = sum(NAMESPACES[kind].clone_flag for kind in kinds if kind != "cgroup")
    user = "user" in kinds
    ops = [Op("clone", flags | CLONE_NEWNS | CLONE_NEWPID, around.born_in)]
    if user:
        ops = [Op("idmap", *around.maps), *ops, Op("wait")]
    ops += [*_join_files(around), *([Op("unshare", CLONE_NEWCGROUP)] if "cgroup" in kinds else [])]
    ops += _own_network() if "net" in kinds else []
    ops += [Op("hostname", hostname)] if "uts" in kinds else []
    quiet = sum(MOUNT_ATTRIBUTES[word] for word in ("nosuid", "noexec", "nodev"))
    ops += [
        Op("propagation", MS_REC | MS_SLAVE),
        Op("root", "tmpfs", "tmpfs", around.target, 0, "mode=755,size=64k"),
        Op("mount", "tmpfs", "shm", "/dev/shm", quiet, "mode=1777", f"size={shm_size_bytes}"),
    ]
    ops += around.network
    if sysctls:
        ops += [Op("mount", "proc", "proc", "/proc", quiet)]
        ops += [Op("sysctl", key.replace(".", "/"), value) for key, value in sysctls]
    # A member of a shared pid namespace that may ptrace must gain nothing by taking the infra over.
    nothing = [Op("no_new_privileges"), Op("capabilities", "0", "0", "0", "0", "0")]
    return [*ops, Op("pivot"), Op("read_only_root"), *nothing, Op("execute_file", *pause)]


def plan(settings: list[Op], ops: list[Op]) -> Plan:
    """Return a plan: what is for the supervisor, then what is for the process."""
    return Plan([*settings, *ops])
