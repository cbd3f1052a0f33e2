"""Compile an OCI runtime specification to a plan. Pure: reads no files and makes no system calls."""

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
    RESOURCES,
)
from pypod.kernel.capabilities import mask
from pypod.kernel.idmap import ALL_IDS
from pypod.kernel.pidfd import Process
from pypod.model.value import Value
from pypod.runtime.oci_process import (
    ACCOUNT_ANNOTATION,
    GROUP_ANNOTATION,
    GROUPS_ANNOTATION,
    KEEP_GROUPS_ANNOTATION,
    PASSWD_ANNOTATION,
)
from pypod.runtime.ops import (
    MOUNT_ATTRIBUTES,
    MS_BIND,
    MS_PRIVATE,
    MS_REC,
    MS_SHARED,
    MS_SLAVE,
    MS_UNBINDABLE,
    Op,
    Plan,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.model.secret import SecretUse
    from pypod.runtime.trees import Tree

# Joined or created in the child; pid and user count before the clone, mnt and cgroup have operations of their own.
_IN_CHILD = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
_PROPAGATIONS = {
    **dict.fromkeys(("private", "rprivate"), MS_PRIVATE),
    **dict.fromkeys(("slave", "rslave"), MS_SLAVE),
    **dict.fromkeys(("shared", "rshared"), MS_SHARED),
    **dict.fromkeys(("unbindable", "runbindable"), MS_UNBINDABLE),
}
_CHARACTER = 0o020000  # S_IFCHR of inode(7)
_TYPES = {"c": _CHARACTER, "u": _CHARACTER, "b": 0o060000}
_DEVICES = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0))
_LINKS = (
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("/proc/kcore", "/dev/core"),
    ("pts/ptmx", "/dev/ptmx"),
)
_PERSONALITIES = {"LINUX": 0, "LINUX32": 8}  # PER_LINUX and PER_LINUX32 of personality(2)
_NO_MAPS = ("", "")
_OPENED = ("bind", "overlay")
WHOLE_MAPS = (f"0 0 {ALL_IDS}\n", f"0 0 {ALL_IDS}\n")


# Mount options that are not passed to the file system.
_OURS = ("rw", "newinstance", "tmpcopyup")


class Join(Value):
    """Namespaces to join: the ``kinds`` of ``process``, each identified by its inode; or the one at ``path``."""

    kinds: tuple[str, ...]
    process: Process | None = None
    path: str = ""
    inodes: tuple[tuple[str, int], ...] = ()

    @property
    def flags(self) -> int:
        """The CLONE_NEW* bits of the kinds."""
        return sum(NAMESPACES[kind].clone_flag for kind in self.kinds)


class Root(Value):
    """The creation of a root file system: ``mounting`` operations, and ``serving`` ones once it is in place.

    ``settings`` are operations for the supervisor. If all are empty, the OCI configuration names a directory.
    """

    settings: tuple[Op, ...] = ()
    mounting: tuple[Op, ...] = ()
    serving: tuple[Op, ...] = ()


class Surroundings(Value):
    """What a plan needs beyond the OCI configuration, which has no field for it.

    ``seccomp`` is the program compiled from ``linux.seccomp``, once, and cached. ``filled`` says of a target whether
    its volume gets a copy of the root's content there, and owner and mode of that directory. ``taken`` has the
    operation, without its slot, that opens a target's source in an unusual way, ``given`` the targets that are given to
    the container's user, and whether that goes for everything in them. ``maps`` are the user and
    group id maps of a user namespace, ``ids`` its root and ``ids_outside`` the same ids in the parent namespace. Files
    in the directories ``mapped`` have its ids on disk, too. ``keep_groups``: the parent namespace does not allow
    changes of the supplementary groups. ``secrets`` have the host path of each one's content. ``trees`` are
    the v1 trees of cgroups that it sees.
    """

    root: Root = Root()
    target: str
    joins: tuple[Join, ...] = ()
    shm_of: Process | None = None
    born_in: str = ""
    join_files: tuple[str, ...] = ()
    seccomp: bytes = b""
    seccomp_flags: int = 0
    create_cwd: bool = False
    filled: dict[str, tuple[bool, bool]] = {}  # noqa: RUF012
    taken: dict[str, tuple[str, tuple[str | int, ...]]] = {}  # noqa: RUF012
    given: dict[str, bool] = {}  # noqa: RUF012
    keyring: str = ""
    network: tuple[Op, ...] = ()
    maps: tuple[str, str] = WHOLE_MAPS
    ids: tuple[int, int] = (0, 0)
    ids_outside: tuple[int, int] = (0, 0)
    mapped: tuple[str, ...] = ()
    keep_groups: bool = False
    secrets: tuple[tuple[str, SecretUse], ...] = ()
    trees: tuple[Tree, ...] = ()
    copies: str = ""  # directory for copies of files of a root that must not be written to


def container_ops(config: dict[str, Any], around: Surroundings) -> list[Op]:
    """Return the operations from clone to exec for the first process of a container."""
    kinds = {KIND_OF_OCI_NAME[entry["type"]] for entry in config["linux"]["namespaces"] if "path" not in entry}
    own_user = "user" in kinds or any("user" in join.kinds for join in around.joins)
    begin = _with_user_namespace if own_user else _begin
    return [
        *begin(kinds, config, around),
        *_mounts(config, around),
        *_devices(config),
        *_secrets(config, around),
        *around.network,
        *_entries(config, around),
        *_account(config, around),
        *[Op("sysctl", key.replace(".", "/"), value) for key, value in config["linux"]["sysctl"].items()],
        *[Op("mask", path) for path in config["linux"]["maskedPaths"]],
        *[Op("read_only", path) for path in config["linux"]["readonlyPaths"]],
        # the image's working directory, while it can still be created
        *([Op("directory", config["process"]["cwd"])] if around.create_cwd and config["root"]["readonly"] else []),
        Op("pivot"),
        *([Op("read_only_root")] if config["root"]["readonly"] else []),
        *_prepared(config, around),
        Op("verify_mounts"),  # as late as all paths are still accessible: before privileges are dropped
        *_secured(config, around),
    ]


def _begin(kinds: set[str], config: dict[str, Any], around: Surroundings) -> list[Op]:
    """Return the operations up to a mounted root, in the current user namespace."""
    before, after, _ = _joined(around)
    return [
        *oom_score(config["process"]),
        *before,
        Op("clone", _flags(kinds), around.born_in),
        *after,
        *_join_files(around),
        *opened(config, around),
        *_own_group(kinds),  # after the group is joined: the root of a cgroup namespace is its creator's cgroup
        *_names(kinds, config),
        Op("keyring", around.keyring),
        _propagation(config),
        *_root(config, around),
        *around.root.serving,
        *_given(config, around, _NO_MAPS),
    ]


def _with_user_namespace(kinds: set[str], config: dict[str, Any], around: Surroundings) -> list[Op]:
    """Return the same for a container in a user namespace of its own or of another container.

    Everything that is named by a host path, or belongs to an existing process, is opened with the original privileges:
    the namespace's ids may not have access to it. Then the user namespace is entered, and in it a second clone follows,
    since a user namespace owns only the namespaces that are created in it.
    """
    before, after, user = _joined(around)
    own, alone = "user" in kinds, int(not _keeps_groups(config, around))
    return [
        *oom_score(config["process"]),
        *([Op("idmap", *around.maps, "deny" if around.keep_groups else "")] if own else []),
        *before,
        Op("clone", 0, around.born_in),
        *_join_files(around),
        *opened(config, around),
        *after,
        Op("unshare", CLONE_NEWNS),
        Op("propagation", MS_REC | MS_SLAVE),
        *[Op("map_tree", path, *around.maps) for path in around.mapped],
        # overlayfs creates its work directory with the ids of the mounter: they must be mapped
        *([Op("own_ids", *around.ids_outside, alone)] if around.mapped else []),
        *_root(config, around),
        *(() if around.root.serving else _given(config, around, around.maps)),
        Op("hold_root"),
        *user,
        Op("clone", _flags(kinds), ""),
        *([Op("wait")] if own else []),
        Op("own_ids", *around.ids, alone),
        *_own_group(kinds),
        *_names(kinds, config, around.ids[1]),
        Op("keyring", around.keyring),
        _propagation(config),
        Op("place_root"),
        *around.root.serving,
        # a program serves the root only from here on: then those ids must do that the namespace has
        *(_given(config, around, _NO_MAPS) if around.root.serving else ()),
    ]


def _propagation(config: dict[str, Any]) -> Op:
    return Op("propagation", MS_REC | _PROPAGATIONS[config["linux"]["rootfsPropagation"]])


def _flags(kinds: set[str]) -> int:
    return sum(NAMESPACES[kind].clone_flag for kind in kinds if kind != "cgroup")


def _joined(around: Surroundings) -> tuple[list[Op], list[Op], list[Op]]:
    """Return operations that join the pid namespace, which counts for children, the others, and the user namespace."""
    before: list[Op] = []
    after: list[Op] = []
    user: list[Op] = []
    for join in around.joins:
        if join.process is None:
            place = before if "pid" in join.kinds else user if "user" in join.kinds else after
            place.append(Op("join_path", join.flags, join.path))
            continue
        process = join.process
        if "pid" in join.kinds:
            before.append(Op("join", process.pid, process.start_time, CLONE_NEWPID))
        flags = join.flags & (_IN_CHILD | CLONE_NEWCGROUP)
        if flags:
            after.append(Op("join", process.pid, process.start_time, flags))
        if "user" in join.kinds:
            user.append(Op("join", process.pid, process.start_time, CLONE_NEWUSER))
        after += [Op("expect", kind, inode) for kind, inode in join.inodes if kind not in ("pid", "user")]
    return before, after, user


def _join_files(around: Surroundings) -> list[Op]:
    return [Op("join_group", path) for path in around.join_files]


def oom_score(process: dict[str, Any]) -> list[Op]:
    """Return the operation that sets the OOM score, with the host's privileges: before the process exists."""
    return [Op("oom_score", process["oomScoreAdj"])] if "oomScoreAdj" in process else []


def _own_group(kinds: set[str]) -> list[Op]:
    return [Op("unshare", CLONE_NEWCGROUP)] if "cgroup" in kinds else []


def _own_network(group: int) -> list[Op]:
    # Root may ping without CAP_NET_RAW, as in containers.conf(5). This goes through the host's /proc, which shows a
    # process the sysctls of its own network namespace.
    return [Op("loopback"), Op("sysctl", "net/ipv4/ping_group_range", f"{group} {group}")]


def _names(kinds: set[str], config: dict[str, Any], group: int = 0) -> list[Op]:
    ops = _own_network(group) if "net" in kinds else []
    if "uts" in kinds and config.get("hostname"):
        ops.append(Op("hostname", config["hostname"]))
    return ops


def _root(config: dict[str, Any], around: Surroundings) -> list[Op]:
    ops: list[Op] = []
    # Everything of the host is opened before the container's file systems are mounted: their paths cannot interfere.
    if around.shm_of:
        ops.append(Op("capture", 0, around.shm_of.pid, around.shm_of.start_time, "/dev/shm", 0))
    for slot, mount in enumerate(_binds(config), 1):
        taken = around.taken.get(mount["destination"])
        recursive = int("rbind" in mount["options"])
        ops.append(Op(taken[0], slot, *taken[1]) if taken else Op("open_tree", slot, mount["source"], recursive))
    if around.trees:
        from pypod.runtime import trees

        ops += trees.opening(around.trees, _first_tree(config, around))
    return [*ops, *(around.root.mounting or bound(config["root"]["path"], around.target))]


def _first_tree(config: dict[str, Any], around: Surroundings) -> int:
    return 1 + len(_binds(config)) + len(around.secrets)


def _given(config: dict[str, Any], around: Surroundings, maps: tuple[str, str]) -> list[Op]:
    """Return the operations that give mounts to the container's user, once its root can be read."""
    if not around.given:
        return []
    slots = {mount["destination"]: slot for slot, mount in enumerate(_binds(config), 1)}
    user = _user(config["process"])
    return [Op("give_tree", slots[target], user, int(recursive), *maps) for target, recursive in around.given.items()]


def bound(path: str, target: str) -> tuple[Op, ...]:
    """Return the operations that make a directory the root, with all mounts below it."""
    return (Op("root", "", path, target, MS_BIND | MS_REC, ""),)


def _binds(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the mounts whose source is opened first; an overlay is not made on its target."""
    return [mount for mount in config.get("mounts", ()) if mount["type"] in _OPENED]


def opened(config: dict[str, Any], around: Surroundings) -> list[Op]:
    """Return the operations that open the secrets, with the original privileges and in the host's mount namespace."""
    return [Op("open_file", slot, path) for slot, path, _ in _numbered(config, around)]


def _numbered(config: dict[str, Any], around: Surroundings) -> list[tuple[int, str, SecretUse]]:
    first = 1 + len(_binds(config))
    return [(first + number, path, use) for number, (path, use) in enumerate(around.secrets)]


def _secrets(config: dict[str, Any], around: Surroundings) -> list[Op]:
    return [
        Op("secret", slot, use.target, use.uid, use.gid, use.mode)
        for slot, _, use in _numbered(config, around)
        if use.is_file
    ]


def _mounts(config: dict[str, Any], around: Surroundings) -> list[Op]:
    ops = []
    slots = {mount["destination"]: slot for slot, mount in enumerate(_binds(config), 1)}
    for mount in config["mounts"]:
        words, target = mount["options"], mount["destination"]
        attributes = sum(MOUNT_ATTRIBUTES.get(word, 0) for word in words)
        if mount["type"] in _OPENED:
            propagation = sum(_PROPAGATIONS.get(word, 0) for word in words)
            placing = (slots[target], target, attributes, propagation, int("rbind" in words))
            fill = around.filled.get(target)
            ops.append(Op("bind_with_content", *placing, *map(int, fill)) if fill else Op("bind", *placing))
            continue
        own = [word for word in words if word not in MOUNT_ATTRIBUTES and word not in _OURS]
        name = "mount_with_content" if "tmpcopyup" in words else "mount"
        ops.append(Op(name, mount["type"], mount["source"], target, attributes, *own))
    if around.trees:
        from pypod.runtime import trees

        ops += trees.mounting(around.trees, _first_tree(config, around))
    if around.shm_of:
        ops.append(Op("bind", 0, "/dev/shm", sum(MOUNT_ATTRIBUTES[w] for w in ("nosuid", "noexec", "nodev")), 0, 0))
    return ops


def _devices(config: dict[str, Any]) -> list[Op]:
    ops: list[Op] = []
    if not any(mount["destination"] == "/dev" and mount["type"] == "bind" for mount in config["mounts"]):
        asked = config["linux"]["devices"]
        replaced = {one["path"] for one in asked}
        ops = [
            Op("device", f"/dev/{name}", major, minor, _CHARACTER | 0o666)
            for name, major, minor in _DEVICES
            if f"/dev/{name}" not in replaced
        ]
        ops += map(_device, asked)
        ops += [Op("symlink", text, target) for text, target in _LINKS]
    return [*ops, Op("console", 1)] if config["process"]["terminal"] else ops


def _device(one: dict[str, Any]) -> Op:
    owner = (one["uid"], one["gid"]) if "uid" in one else ()
    return Op("device", one["path"], one["major"], one["minor"], _TYPES[one["type"]] | one["fileMode"], *owner)


def _entries(config: dict[str, Any], around: Surroundings) -> list[Op]:
    lines = (
        (path, config["annotations"].get(name))
        for path, name in (("/etc/passwd", PASSWD_ANNOTATION), ("/etc/group", GROUP_ANNOTATION))
    )
    return [Op("entries", path, around.copies, *found.split("\n")) for path, found in lines if found]


def _account(config: dict[str, Any], around: Surroundings) -> list[Op]:
    entry = config["annotations"].get(ACCOUNT_ANNOTATION, "")
    return [Op("account", _user(config["process"]), around.copies, *entry.split("$GID"))] if entry else []


def _user(process: dict[str, Any]) -> str:
    user = process["user"]
    return str(user.get("username") or f"{user['uid']}:{user['gid']}")


def _keeps_groups(config: dict[str, Any], around: Surroundings) -> bool:
    """Return whether a process keeps the caller's supplementary groups; no user namespace takes them away."""
    return around.keep_groups or config["annotations"].get(KEEP_GROUPS_ANNOTATION) == "1"


def process_ops(config: dict[str, Any], around: Surroundings) -> list[Op]:
    """Return the operations that set a process up as the configuration says, up to its exec."""
    return [*_prepared(config, around), *_secured(config, around)]


def _prepared(config: dict[str, Any], around: Surroundings) -> list[Op]:
    process = config["process"]
    names = config["annotations"].get(GROUPS_ANNOTATION, "")
    numbers = process["user"]["additionalGids"][1:]  # the first is the primary group, which may need a lookup
    groups = [*(names.split(",") if names else ()), *numbers]
    return [
        *_personality(config),
        *[_limit(entry) for entry in process["rlimits"]],
        *([Op("keep_groups")] if _keeps_groups(config, around) else []),
        Op("user", _user(process), *map(str, groups)),
        Op("umask", oct(process["user"]["umask"]).replace("0o", "0")),
        Op("working_directory", process["cwd"], int(around.create_cwd)),
        Op("environment", *process["env"]),
        *[Op("secret_variable", slot, use.target) for slot, _, use in _numbered(config, around) if not use.is_file],
    ]


def _personality(config: dict[str, Any]) -> list[Op]:
    asked = config.get("linux", {}).get("personality")
    return [Op("personality", _PERSONALITIES[asked["domain"]])] if asked else []


def _secured(config: dict[str, Any], around: Surroundings) -> list[Op]:
    process = config["process"]
    filters = [Op("seccomp", around.seccomp, around.seccomp_flags)] if around.seccomp else []
    no_new = [Op("no_new_privileges")] if process["noNewPrivileges"] else []
    # Without no_new_privs a filter needs CAP_SYS_ADMIN: then it goes before the capabilities are dropped (seccomp(2)).
    limited = _capabilities(process["capabilities"])
    secured = [*no_new, limited, *filters] if no_new else [*filters, limited]
    return [*secured, Op("execute", *process["args"])]


def _limit(entry: dict[str, Any]) -> Op:
    return Op("resource_limit", RESOURCES[entry["type"].removeprefix("RLIMIT_")], entry["soft"], entry["hard"])


def _capabilities(sets: dict[str, list[str]]) -> Op:
    order = ("bounding", "effective", "permitted", "inheritable", "ambient")
    return Op("capabilities", *(f"{mask(sets[name]):x}" for name in order))


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
        ops = [Op("idmap", *around.maps, "deny" if around.keep_groups else ""), *ops, Op("wait")]
    ops += [*_join_files(around), *([Op("unshare", CLONE_NEWCGROUP)] if "cgroup" in kinds else [])]
    ops += _own_network(around.ids[1] if user else 0) if "net" in kinds else []
    ops += [Op("hostname", hostname)] if "uts" in kinds else []
    quiet = sum(MOUNT_ATTRIBUTES[word] for word in ("nosuid", "noexec", "nodev"))
    # looked up with the ids from before, owned by those of the namespace
    owner = ",uid={},gid={}".format(*around.ids) if user else ""
    ops += [
        Op("propagation", MS_REC | MS_SLAVE),
        Op("root", "tmpfs", "tmpfs", around.target, 0, f"mode=755,size=64k{owner}"),
        *([Op("own_ids", *around.ids, int(not around.keep_groups))] if user else []),
        Op("mount", "tmpfs", "shm", "/dev/shm", quiet, "mode=1777", f"size={shm_size_bytes}"),
    ]
    ops += around.network
    if sysctls:
        ops += [Op("mount", "proc", "proc", "/proc", quiet)]
        ops += [Op("sysctl", key.replace(".", "/"), value) for key, value in sysctls]
    # A member of a shared pid namespace that may ptrace must gain nothing from taking over the infra.
    nothing = [Op("no_new_privileges"), Op("capabilities", "0", "0", "0", "0", "0")]
    return [*ops, Op("pivot"), Op("read_only_root"), *nothing, Op("execute_file", *pause)]


def holding_ops(path: str, mounts: list[dict[str, Any]], around: Surroundings, hold: tuple[str, ...]) -> list[Op]:
    """Return the operations for a process that holds a container's root and binds while the container does not run.

    The process ``hold`` has the root as its own, in a mount namespace. ``path`` is the root if ``around`` has none.
    """
    config = {"root": {"path": path}, "mounts": mounts}
    return [
        Op("clone", CLONE_NEWNS, ""),
        Op("propagation", MS_REC | MS_SLAVE),
        *[Op("map_tree", path, *around.maps) for path in around.mapped],
        *([Op("own_ids", *around.ids_outside, 1)] if around.mapped else []),
        *_root(config, around),
        *around.root.serving,
        *_mounts(config, around),
        Op("pivot"),
        Op("execute_file", *hold),
    ]


def plan(settings: list[Op], ops: list[Op]) -> Plan:
    """Return a plan: operations for the supervisor, then those for the process."""
    return Plan([*settings, *ops])
