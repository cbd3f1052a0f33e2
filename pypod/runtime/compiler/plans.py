"""Plans of containers, of infras and of processes that hold a root: which namespaces, and what is done in them when.

The compiler is pure: it reads no files and makes no system calls.
"""

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
from pypod.runtime.compiler.files import account, devices, entries, given, mounting, propagation, root, secret_files
from pypod.runtime.compiler.process import keeps_groups, oom_score, prepared, secured
from pypod.runtime.compiler.slots import opened
from pypod.runtime.ops import MOUNT_ATTRIBUTES, MS_REC, MS_SLAVE, Op, shared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.runtime.compiler.surroundings import Surroundings

# Joined or created in the child; pid and user count before the clone, mnt and cgroup have operations of their own.
_IN_CHILD = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
_NO_MAPS = ("", "")
_HOST_HOOKS = frozenset(("prestart", "createRuntime"))


def container_ops(config: dict[str, Any], around: Surroundings) -> list[Op]:
    """Return the operations from clone to exec for the first process of a container."""
    kinds = {KIND_OF_OCI_NAME[entry["type"]] for entry in config["linux"]["namespaces"] if "path" not in entry}
    own_user = "user" in kinds or any("user" in join.kinds for join in around.joins)
    begin = _with_user_namespace if own_user else _begin
    return [
        *begin(kinds, config, around),
        *mounting(config, around),
        *devices(config),
        *secret_files(config, around),
        *around.network,
        *entries(config, around),
        *account(config, around),
        *[Op("sysctl", key.replace(".", "/"), value) for key, value in config["linux"]["sysctl"].items()],
        *[shared("mask", path) for path in config["linux"]["maskedPaths"]],
        *[shared("read_only", path) for path in config["linux"]["readonlyPaths"]],
        # the image's working directory, while it can still be created
        *([Op("directory", config["process"]["cwd"])] if around.create_cwd and config["root"]["readonly"] else []),
        *_hooks_of_creation(around.hooks),
        Op("pivot"),
        *([Op("read_only_root")] if config["root"]["readonly"] else []),
        *prepared(config, around),
        Op("verify_mounts"),  # as late as all paths are still accessible: before privileges are dropped
        *secured(config, around),
    ]


def _hooks_of_creation(stages: frozenset[str]) -> list[Op]:
    """Return the operations that run the hooks for a creation, while the root is still the host's."""
    own = [Op("run_hooks", "createContainer")] if "createContainer" in stages else []
    return own if _HOST_HOOKS.isdisjoint(stages) else [Op("host_hooks"), *own]


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
        propagation(config),
        *around.root.first,
        *root(config, around),
        *around.root.serving,
        *given(config, around, _NO_MAPS),
    ]


def _with_user_namespace(kinds: set[str], config: dict[str, Any], around: Surroundings) -> list[Op]:
    """Return the same for a container in a user namespace of its own or of another container.

    Everything that is named by a host path, or belongs to an existing process, is opened with the original privileges:
    the namespace's ids may not have access to it. Then the user namespace is entered, and in it a second clone follows,
    since a user namespace owns only the namespaces that are created in it.
    """
    before, after, user = _joined(around)
    own, alone = "user" in kinds, int(not keeps_groups(config, around))
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
        *around.root.first,
        *[Op("map_tree", path, *around.maps) for path in around.mapped],
        # overlayfs creates its work directory with the ids of the mounter: they must be mapped
        *([Op("own_ids", *around.ids_outside, alone)] if around.mapped else []),
        *root(config, around),
        *(() if around.root.serving else given(config, around, around.maps)),
        Op("hold_root"),
        *user,
        Op("clone", _flags(kinds), ""),
        *([Op("wait")] if own else []),
        Op("own_ids", *around.ids, alone),
        *_own_group(kinds),
        *_names(kinds, config, around.ids[1]),
        Op("keyring", around.keyring),
        propagation(config),
        Op("place_root"),
        *around.root.serving,
        # a program serves the root only from here on: then those ids must do that the namespace has
        *(given(config, around, _NO_MAPS) if around.root.serving else ()),
    ]


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


def host_mount_ops(pid: int, start_time: int, path: str, end: tuple[str, ...]) -> list[Op]:
    """Return the operations that mount the root of a process on a path of the host; ``end`` is a program that exits."""
    return [
        Op("clone", 0, ""),
        Op("capture", 0, pid, start_time, "/", 0),
        Op("host_mount", 0, path),
        Op("execute_file", *end),
    ]


def holding_ops(path: str, mounts: list[dict[str, Any]], around: Surroundings, hold: tuple[str, ...]) -> list[Op]:
    """Return the operations for a process that holds a container's root and binds while the container does not run.

    The process ``hold`` has the root as its own, in a mount namespace. ``path`` is the root if ``around`` has none.
    """
    config = {"root": {"path": path}, "mounts": mounts}
    return [
        Op("clone", CLONE_NEWNS, ""),
        Op("propagation", MS_REC | MS_SLAVE),
        *around.root.first,
        *[Op("map_tree", path, *around.maps) for path in around.mapped],
        *([Op("own_ids", *around.ids_outside, 1)] if around.mapped else []),
        *root(config, around),
        *around.root.serving,
        *mounting(config, around),
        Op("pivot"),
        Op("execute_file", *hold),
    ]
