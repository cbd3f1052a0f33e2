"""The file systems of a container: its root, mounts, devices, secrets, and lines of /etc/passwd and /etc/group."""

from __future__ import annotations

from pypod.runtime.compiler.process import user_of
from pypod.runtime.compiler.slots import OPENED, binds, first_tree, numbered
from pypod.runtime.oci_process import ACCOUNT_ANNOTATION, GROUP_ANNOTATION, PASSWD_ANNOTATION
from pypod.runtime.ops import (
    MOUNT_ATTRIBUTES,
    MS_BIND,
    MS_PRIVATE,
    MS_REC,
    MS_SHARED,
    MS_SLAVE,
    MS_UNBINDABLE,
    Op,
    shared,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.runtime.compiler.surroundings import Surroundings

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
_OURS = ("rw", "newinstance", "tmpcopyup")  # mount options that are not passed to the file system


def root(config: dict[str, Any], around: Surroundings) -> list[Op]:
    ops: list[Op] = []
    # Everything of the host is opened before the container's file systems are mounted: their paths cannot interfere.
    if around.shm_of:
        ops.append(Op("capture", 0, around.shm_of.pid, around.shm_of.start_time, "/dev/shm", 0))
    for slot, mount in enumerate(binds(config), 1):
        taken = around.taken.get(mount["destination"])
        recursive = int("rbind" in mount["options"])
        ops.append(Op(taken[0], slot, *taken[1]) if taken else Op("open_tree", slot, mount["source"], recursive))
    if around.trees:
        from pypod.runtime import trees

        ops += trees.opening(around.trees, first_tree(config, around))
    if around.root.first:
        return ops
    return [*ops, *(around.root.mounting or bound(config["root"]["path"], around.target))]


def bound(path: str, target: str) -> tuple[Op, ...]:
    """Return the operations that make a directory the root, with all mounts below it."""
    return (Op("root", "", path, target, MS_BIND | MS_REC, ""),)


def given(config: dict[str, Any], around: Surroundings, maps: tuple[str, str]) -> list[Op]:
    """Return the operations that give mounts to the container's user, once its root can be read."""
    if not around.given:
        return []
    slots = {mount["destination"]: slot for slot, mount in enumerate(binds(config), 1)}
    user = user_of(config["process"])
    return [Op("give_tree", slots[target], user, int(recursive), *maps) for target, recursive in around.given.items()]


def mounting(config: dict[str, Any], around: Surroundings) -> list[Op]:
    ops = []
    slots = {mount["destination"]: slot for slot, mount in enumerate(binds(config), 1)}
    for mount in config["mounts"]:
        words, target = mount["options"], mount["destination"]
        attributes = sum(MOUNT_ATTRIBUTES.get(word, 0) for word in words)
        if mount["type"] in OPENED:
            propagation = sum(_PROPAGATIONS.get(word, 0) for word in words)
            placing = (slots[target], target, attributes, propagation, int("rbind" in words))
            fill = around.filled.get(target)
            ops.append(Op("bind_with_content", *placing, *map(int, fill)) if fill else Op("bind", *placing))
            continue
        own = [word for word in words if word not in MOUNT_ATTRIBUTES and word not in _OURS]
        name = "mount_with_content" if "tmpcopyup" in words else "mount"
        ops.append(shared(name, mount["type"], mount["source"], target, attributes, *own))
    if around.trees:
        from pypod.runtime import trees

        ops += trees.mounting(around.trees, first_tree(config, around))
    if around.shm_of:
        ops.append(Op("bind", 0, "/dev/shm", sum(MOUNT_ATTRIBUTES[w] for w in ("nosuid", "noexec", "nodev")), 0, 0))
    return ops


def devices(config: dict[str, Any]) -> list[Op]:
    ops: list[Op] = []
    if not any(mount["destination"] == "/dev" and mount["type"] == "bind" for mount in config["mounts"]):
        asked = config["linux"]["devices"]
        replaced = {one["path"] for one in asked}
        ops = [
            shared("device", f"/dev/{name}", major, minor, _CHARACTER | 0o666)
            for name, major, minor in _DEVICES
            if f"/dev/{name}" not in replaced
        ]
        ops += map(_device, asked)
        ops += [shared("symlink", text, target) for text, target in _LINKS]
    return [*ops, Op("console", 1)] if config["process"]["terminal"] else ops


def _device(one: dict[str, Any]) -> Op:
    owner = (one["uid"], one["gid"]) if "uid" in one else ()
    return Op("device", one["path"], one["major"], one["minor"], _TYPES[one["type"]] | one["fileMode"], *owner)


def secret_files(config: dict[str, Any], around: Surroundings) -> list[Op]:
    return [
        Op("secret", slot, use.target, use.uid, use.gid, use.mode)
        for slot, _, use in numbered(config, around)
        if use.is_file
    ]


def entries(config: dict[str, Any], around: Surroundings) -> list[Op]:
    lines = (
        (path, config["annotations"].get(name))
        for path, name in (("/etc/passwd", PASSWD_ANNOTATION), ("/etc/group", GROUP_ANNOTATION))
    )
    return [Op("entries", path, around.copies, *found.split("\n")) for path, found in lines if found]


def account(config: dict[str, Any], around: Surroundings) -> list[Op]:
    entry = config["annotations"].get(ACCOUNT_ANNOTATION, "")
    return [Op("account", user_of(config["process"]), around.copies, *entry.split("$GID"))] if entry else []


def propagation(config: dict[str, Any]) -> Op:
    return shared("propagation", MS_REC | _PROPAGATIONS[config["linux"]["rootfsPropagation"]])
