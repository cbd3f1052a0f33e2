"""Translate a container's options to an OCI runtime specification (config.json), with podman's defaults.

Pure functions.

Sources: opencontainers/runtime-spec config.md and config-linux.md; defaults as podman 4.3 generates them.
"""

from __future__ import annotations

from pypod.kernel.abi import NAMESPACES
from pypod.kernel.capabilities import DEFAULT_CAPABILITIES
from pypod.model.container import ContainerSpec, Ulimit
from pypod.model.mount import BIND, DEVPTS, IMAGE, VOLUME, plain_path
from pypod.model.namespace import PRIVATE
from pypod.model.value import Value
from pypod.runtime.oci_process import (
    ACCOUNT_ANNOTATION,
    assigned,
    capability_sets,
    entry_annotations,
    environment,
    group_annotations,
    rlimits,
    user_of,
)
from pypod.runtime.ops import MOUNT_ATTRIBUTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.kernel.idmap import Range
    from pypod.model.device import Device

_ACCOUNT = "$USERNAME:*:$UID:$GID:$NAME:$HOME:/bin/sh"  # podman's

MASKED_PATHS = (
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/fs/selinux",
    "/sys/dev/block",
    "/sys/devices/virtual/powercap",
)
READ_ONLY_PATHS = ("/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

_STANDARD_MOUNTS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("/proc", "proc", "proc", ("nosuid", "noexec", "nodev")),
    ("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    ("/sys", "sysfs", "sysfs", ("nosuid", "noexec", "nodev", "ro")),
    ("/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")),
    ("/dev/mqueue", "mqueue", "mqueue", ("nosuid", "noexec", "nodev")),
)
OCI_VERSION = "1.0.2"
_CGROUPS = "/sys/fs/cgroup"
_SYSTEMD_DIRECTORIES = ("/run", "/run/lock", "/tmp", "/var/log/journal")
_TYPE, _BLOCK = 0o170000, 0o060000  # S_IFMT and S_IFBLK of inode(7)
# Our mounts that are left out below a volume on the key: the hierarchies, and what a host's own /dev lacks.
_LEFT_OUT = {_CGROUPS: f"{_CGROUPS}/", "/dev": "/dev/mqueue"}


class Places(Value):
    """Host files that a container's configuration names.

    ``foreign`` are the kinds of namespaces that do not belong to the container's user namespace: file systems that show
    them cannot be mounted there, so the host's are bound. ``has_tty_group``: the tty group is mapped in the namespace.
    ``id_maps`` are the user and group maps of the container's own user namespace. ``devices`` are those beyond the
    default ones and the requested: path, major, minor, and the mode with its type, then user and group if not root.
    ``device_rules`` say which of all devices the container may use; without any it may use those it has.
    ``seccomp`` is the profile in the specification's form, ``console`` the initial columns and rows of a terminal (0
    leaves them to the kernel). ``identifier`` is the container's id, ``localtime`` the file of its time zone if that is
    not the root's.
    """

    root: str
    hosts: str
    hostname_file: str
    resolv_conf: str
    container_env: str
    init: str
    cgroup_path: str
    cgroup_mount: tuple[str, str]
    resources: dict[str, Any] = {}  # noqa: RUF012
    hostname: str
    shared_shm: bool
    namespace_paths: tuple[tuple[str, str], ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    rootless: bool = False
    foreign: tuple[str, ...] = ()
    has_tty_group: bool = True
    id_maps: tuple[tuple[Range, ...], tuple[Range, ...]] = ((), ())
    devices: tuple[tuple[int | str, ...], ...] = ()
    device_rules: tuple[str, ...] = ()
    seccomp: dict[str, Any] | None = None
    console: tuple[int, int] = (0, 0)
    identifier: str = ""
    localtime: str = ""


def runtime_spec(spec: ContainerSpec, places: Places) -> dict[str, Any]:
    """Return the OCI configuration of a container: a plain dictionary, valid as config.json."""
    account = passwd_entry(spec)
    return {
        "ociVersion": OCI_VERSION,
        **({"hostname": places.hostname} if spec.uts == PRIVATE else {}),
        "root": {"path": places.root, "readonly": spec.read_only},
        "process": _process(spec, places),
        "mounts": _mounts(spec, places),
        "annotations": {
            **dict(spec.annotations),
            **group_annotations(spec.groups),
            **({ACCOUNT_ANNOTATION: account} if account else {}),
            **entry_annotations(spec),
        },
        "linux": _linux(spec, places),
    }


def passwd_entry(spec: ContainerSpec) -> str:
    """Return the passwd line for a user that the root's passwd file lacks; ``$GID`` is left to be resolved there.

    Empty when none is to be added: like podman, only numeric ids get a line.
    """
    user, _, group = spec.user.partition(":")
    if not spec.passwd or not (user.isdigit() or group.isdigit()):
        return ""
    entry = spec.passwd_entry or _ACCOUNT
    for name, value in (
        ("USERNAME", user),
        ("UID", user),
        ("NAME", "container user"),
        ("HOME", spec.working_directory),
    ):
        entry = entry.replace(f"${name}", value)
    return entry


def _process(spec: ContainerSpec, places: Places) -> dict[str, Any]:
    arguments = list(spec.arguments)
    columns, rows = places.console
    return {
        "terminal": spec.terminal,
        **({"consoleSize": {"width": columns, "height": rows}} if spec.terminal and columns and rows else {}),
        "user": user_of(spec.user, spec.groups, spec.umask),
        "args": ["/run/podman-init", "--", *arguments] if spec.init else arguments,
        "env": assigned(environment(spec, places.hostname, places.identifier)),
        "cwd": spec.working_directory,
        "capabilities": capability_sets(spec.user, spec.capabilities, spec.added_capabilities),
        "rlimits": rlimits(places.ulimits),
        "noNewPrivileges": spec.no_new_privileges,
        **({} if spec.oom_score_adj is None else {"oomScoreAdj": spec.oom_score_adj}),
    }


def _mounts(spec: ContainerSpec, places: Places) -> list[dict[str, Any]]:
    writable = {"/sys"} if spec.privileged else set()
    mounts = [
        _mount(target, kind, source, [o for o in options if not (o == "ro" and target in writable)])
        for target, kind, source, options in _STANDARD_MOUNTS
    ]
    mounts[0]["options"] += spec.proc_options  # of /proc
    mounts += _hierarchies(spec, places)
    if not places.shared_shm and not spec.no_shm:
        size = f"size={spec.shm_size_bytes}"
        mounts.append(_mount("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", size]))
    chroots = [at.rstrip("/") for at in map(plain_path, spec.chroot_directories) if at != "/"]
    for target, source in (
        ("/etc/hosts", "" if spec.no_hosts else places.hosts),
        ("/etc/hostname", "" if spec.no_hostname else places.hostname_file),
        ("/etc/resolv.conf", places.resolv_conf),
    ):
        if source:
            words = ["bind", "rprivate", *(["ro"] if spec.read_only else [])]
            mounts.append(_mount(target, "bind", source, words))
            if target != "/etc/hostname":  # podman's choice
                mounts += [_mount(f"{at}{target}", "bind", source, words) for at in chroots]
    if places.localtime:
        mounts.append(_mount("/etc/localtime", "bind", places.localtime, ["bind", "rprivate"]))
    # read-only: one empty file serves all
    mounts.append(_mount("/run/.containerenv", "bind", places.container_env, ["bind", "rprivate", "ro"]))
    if spec.init:
        mounts.append(_mount("/run/podman-init", "bind", places.init, ["bind", "rprivate", "ro"]))
    if spec.read_only and spec.read_only_tmpfs:
        mounts += [
            # empty, unlike podman's: with the host's root its /tmp would be copied into memory
            _mount(at, "tmpfs", "tmpfs", ["nosuid", "nodev", "mode=1777"])
            for at in ("/run", "/tmp", "/var/tmp")
        ]
    if spec.systemd:
        mounts = _with_systemd(mounts, spec.systemd_tmpfs_bytes)
    asked = [_asked_mount(mount) for mount in spec.mounts]
    if spec.devices:
        asked += _bound_devices(spec, places)
    if places.rootless:
        mounts = [own for mount in mounts for own in _as_user(mount, places)]
    replaced = {mount["destination"] for mount in asked}
    # /etc/hosts stays above a volume on /etc; these would only leave a directory in the volume
    without = tuple(path for volume, path in _LEFT_OUT.items() if volume in replaced)
    kept = [m for m in mounts if m["destination"] not in replaced and not m["destination"].startswith(without)]
    secrets = []
    if any(use.is_file for use in spec.secrets):
        secrets = [_mount("/run/secrets", "tmpfs", "tmpfs", ["nosuid", "nodev", "noexec", "mode=755"])]
    # parents before children, in whatever order they were given
    return sorted(kept + asked + secrets, key=lambda mount: mount["destination"].count("/"))


def _hierarchies(spec: ContainerSpec, places: Places) -> list[dict[str, Any]]:
    """Return the mounts of the cgroup hierarchies, with those that systemd writes to writable for it."""
    tree, options = places.cgroup_mount
    access = "rw" if spec.privileged or (spec.systemd and tree == _CGROUPS) else "ro"
    kind, words = ("cgroup", options.split(",")) if options else ("cgroup2", [])
    mounts = []
    if tree != _CGROUPS:
        mounts.append(_mount(_CGROUPS, "tmpfs", "tmpfs", ["nosuid", "noexec", "nodev", "mode=755"]))
    mounts.append(_mount(tree, kind, kind, ["nosuid", "noexec", "nodev", access, *words]))
    return mounts


def _with_systemd(mounts: list[dict[str, Any]], size: int | None) -> list[dict[str, Any]]:
    """Add the directories that systemd writes to (podman-run(1), --systemd), except where something is mounted."""
    words = ["nosuid", "nodev", "mode=1777", *([f"size={size}"] if size else []), "tmpcopyup"]
    taken = {mount["destination"] for mount in mounts}
    return mounts + [_mount(at, "tmpfs", "tmpfs", words) for at in _SYSTEMD_DIRECTORIES if at not in taken]


# File systems that only the owner of a namespace may mount, and its kind. mqueue is left out instead.
_SHOWS = {"sysfs": "net", "proc": "pid", "cgroup2": "cgroup", "mqueue": "ipc"}


def _as_user(mount: dict[str, Any], places: Places) -> list[dict[str, Any]]:
    """Return the replacement for a mount in a user namespace, as podman does for rootless users."""
    kind, options = mount["type"], mount["options"]
    if _SHOWS.get(kind) in places.foreign:
        access = [word for word in options if word in MOUNT_ATTRIBUTES]
        shown = _mount(mount["destination"], "bind", mount["destination"], ["rbind", "rprivate", *access])
        return [] if kind == "mqueue" else [shown]
    if kind == "devpts" and not places.has_tty_group:
        options = [word for word in options if not word.startswith("gid=")]
    return [_mount(mount["destination"], kind, mount["source"], options)]


def _mount(target: str, kind: str, source: str, options: list[str]) -> dict[str, Any]:
    return {"destination": target, "type": kind, "source": source, "options": options}


def _asked_mount(mount: Any) -> dict[str, Any]:
    flags = (
        ("ro", mount.read_only),
        ("nosuid", mount.no_suid),
        ("nodev", mount.no_dev),
        ("noexec", mount.no_exec),
    )
    options = [name for name, given in flags if given]
    if mount.type == IMAGE and "nodev" not in options:
        options.append("nodev")  # what an image contains must not lead to the host's devices, as in a root
    if mount.type == IMAGE or mount.overlay:
        return _mount(plain_path(mount.target), "overlay", "overlay", [*options, *mount.options])
    if mount.type in (BIND, VOLUME):
        options += ["rbind" if mount.recursive else "bind", mount.propagation]
        return _mount(plain_path(mount.target), "bind", mount.source, options)
    if mount.type == DEVPTS:
        return _mount(plain_path(mount.target), DEVPTS, DEVPTS, [*options, "newinstance", *mount.options])
    if mount.copy_up:
        options.append("tmpcopyup")
    return _mount(plain_path(mount.target), mount.type, mount.source or mount.type, [*options, *mount.options])


def bound_mounts(spec: ContainerSpec) -> list[dict[str, Any]]:
    """Return the binds and volumes that a user asked for, parents before children; no overlay of one."""
    mounts = [_asked_mount(mount) for mount in spec.mounts if mount.type in (BIND, VOLUME) and not mount.overlay]
    return sorted(mounts, key=lambda mount: mount["destination"].count("/"))


def _linux(spec: ContainerSpec, places: Places) -> dict[str, Any]:
    paths = dict(places.namespace_paths)
    namespaces: list[dict[str, str]] = [{"type": "mount"}]
    for kind in ("pid", "net", "ipc", "uts", "cgroup", "user"):
        mode, oci_name = spec.namespace(kind), NAMESPACES[kind].oci_name
        if kind in paths:
            namespaces.append({"type": oci_name, "path": paths[kind]})
        elif mode.mode == "private":
            namespaces.append({"type": oci_name})
    usual = () if spec.privileged or "ALL" in spec.unmasks else MASKED_PATHS
    asked_for = [plain_path(path) for path in spec.masks]
    if spec.systemd and places.cgroup_mount[0] != _CGROUPS:
        usual = (*usual, f"{_CGROUPS}/systemd/release_agent")  # as podman: it names a program of the host
    hidden = (*usual, *asked_for)  # requested masks are hidden in any case
    # the tmpfs that holds the mount points of several hierarchies is read-only once they are mounted
    asked = any(plain_path(mount.target) == _CGROUPS for mount in spec.mounts)
    several = () if asked or spec.systemd or places.cgroup_mount[0] == _CGROUPS else (_CGROUPS,)
    read_only = () if spec.privileged or "ALL" in spec.unmasks else (*READ_ONLY_PATHS, *several)
    mappings = {
        name: [{"containerID": inside, "hostID": outside, "size": count} for inside, outside, count in ranges]
        for name, ranges in zip(("uidMappings", "gidMappings"), places.id_maps, strict=True)
        if ranges
    }
    access = {"devices": oci_rules(places.device_rules)} if places.device_rules else {}
    return {
        "namespaces": namespaces,
        **mappings,
        "cgroupsPath": places.cgroup_path,
        "resources": {**places.resources, **access},
        "sysctl": dict(spec.sysctls),
        "maskedPaths": [path for path in hidden if path in asked_for or path not in spec.unmasks],
        "readonlyPaths": [path for path in read_only if path not in spec.unmasks],
        "devices": [*(_device(*one) for one in places.devices), *map(_asked_device, _nodes(spec, places))],
        "rootfsPropagation": "slave",
        **({"personality": {"domain": spec.personality}} if spec.personality else {}),
        **({"seccomp": places.seccomp} if places.seccomp else {}),
    }


def _device(path: Any, major: Any, minor: Any, mode: Any, uid: Any = 0, gid: Any = 0) -> dict[str, Any]:
    kind = "b" if mode & _TYPE == _BLOCK else "c"
    owner = {"uid": uid, "gid": gid} if uid or gid else {}
    return {"path": path, "type": kind, "major": major, "minor": minor, "fileMode": mode & 0o777, **owner}


def _nodes(spec: ContainerSpec, places: Places) -> list[Device]:
    """Return the requested devices that are created as nodes: only in /dev, for the root is mounted without devices."""
    return [] if places.rootless else [one for one in spec.devices if one.path.startswith("/dev/")]


def _bound_devices(spec: ContainerSpec, places: Places) -> list[dict[str, Any]]:
    """Return mounts of the other ones. Read-only protects the host's inode (chmod), not the device behind it."""
    created = _nodes(spec, places)
    options = ["bind", "rprivate", "nosuid", "noexec", "ro"]
    return [_mount(one.path, "bind", one.source, list(options)) for one in spec.devices if one not in created]


def _asked_device(one: Device) -> dict[str, Any]:
    owner = {"uid": one.uid, "gid": one.gid} if one.uid or one.gid else {}
    return {
        "path": one.path,
        "type": one.type,
        "major": one.major,
        "minor": one.minor,
        "fileMode": one.mode & 0o777,
        **owner,
    }


def oci_rules(rules: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return rules as ``linux.resources.devices``: nothing else is allowed."""
    from pypod.model.device import ALL_ACCESS, split_rule

    found: list[dict[str, Any]] = [{"allow": False, "access": ALL_ACCESS}]
    for kind, major, minor, access in map(split_rule, rules):
        numbers = {name: number for name, number in (("major", major), ("minor", minor)) if number >= 0}
        found.append({"allow": True, **({} if kind == "a" else {"type": kind, **numbers}), "access": access})
    return found


def default_capabilities() -> tuple[str, ...]:
    """Return podman's eleven default capabilities."""
    return tuple(DEFAULT_CAPABILITIES)
