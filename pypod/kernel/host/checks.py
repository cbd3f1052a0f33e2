"""Checks of ``pypod system check``: what pypod needs of a host, what is missing, and the consequences."""

from __future__ import annotations

import os

from pypod.kernel.abi import KINDS, NAMESPACES
from pypod.kernel.cgroups.detect import NONE
from pypod.kernel.host.facts import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_WITHOUT_CAPABILITY = {
    "CAP_SYS_ADMIN": "no mount, and no namespace without a user namespace first: pods do not start",
    "CAP_NET_ADMIN": "no bridge, no address, not even lo: pods and containers start with --network host only",
    "CAP_CHOWN": "image layers cannot keep their owners; containers start with --cap-drop CHOWN only",
    "CAP_DAC_OVERRIDE": "files of other users in images and volumes cannot be prepared; containers start with "
    "--cap-drop DAC_OVERRIDE only",
    "CAP_FOWNER": "modes of other users' files in images cannot be set; containers start with --cap-drop FOWNER only",
    "CAP_FSETID": "containers start with --cap-drop FSETID only",
    "CAP_KILL": "processes of other users cannot be signalled one by one; containers start with --cap-drop KILL only",
    "CAP_NET_BIND_SERVICE": "containers start with --cap-drop NET_BIND_SERVICE only",
    "CAP_SETFCAP": "files of images lose their capabilities; containers start with --cap-drop SETFCAP only",
    "CAP_SETGID": "--user and supplementary groups do not work: containers do not start",
    "CAP_SETUID": "--user does not work: containers do not start",
    "CAP_SETPCAP": "the capability bounding set cannot be reduced: containers do not start",
    "CAP_SYS_CHROOT": "chroot and joining a mount namespace do not work: containers do not start",
    "CAP_SYS_PTRACE": "namespaces of other users' processes are not shown",
    "CAP_SYS_RESOURCE": "limits above the caller's own are refused (--ulimit); the rest works",
    "CAP_MKNOD": "device nodes in images are left out",
}
_WITHOUT_NAMESPACE = {
    "mnt": "no container can start",
    "pid": "containers would see and signal the host's processes: they do not start",
    "net": "pods start with --network host only",
    "ipc": "pods start with the host's IPC only (--share without ipc)",
    "uts": "pods keep the host's name (--share without uts)",
    "user": "--userns works with host only, and pods of users do not start; pods of root work",
    "cgroup": "containers see their place in the host's cgroup tree; the rest works",
    "time": "--share time does not work; nothing else needs it",
}


class Check:
    """One check: ``reason`` is the fact that decided it, ``consequence`` what does not work and what still does.

    The consequence is empty when the check is ``ok``.
    """

    __slots__ = ("consequence", "name", "ok", "reason")

    def __init__(self, name: str, ok: bool, reason: str, consequence: str) -> None:
        self.name = name
        self.ok = ok
        self.reason = reason
        self.consequence = "" if ok else consequence

    def __repr__(self) -> str:
        return f"Check({self.name!r}, {self.ok}, {self.reason!r}, {self.consequence!r})"


def check(host: Host | None = None) -> list[Check]:
    """Check a host, this one by default: what pypod needs, what is missing and the consequences."""
    host = host or Host()
    found = [Check(f"namespace-{kind}", *_namespace(host, kind), _WITHOUT_NAMESPACE[kind]) for kind in KINDS]
    found += [Check(name, *judge(host), consequence) for name, judge, consequence in _CHECKS]
    found += [
        Check(name.lower().replace("_", "-"), *_capability(host, name), consequence)
        for name, consequence in _WITHOUT_CAPABILITY.items()
    ]
    return found


def _capability(host: Host, name: str) -> tuple[bool, str]:
    ok = host.has_capability(name)
    return ok, f"{name} is effective" if ok else f"the caller does not have {name}"


def _namespace(host: Host, kind: str) -> tuple[bool, str]:
    if kind not in host.namespaces:
        return False, f"this kernel is built without {kind} namespaces"
    limit = host.namespace_limits.get(kind)
    if limit == 0:
        return False, f"/proc/sys/user/{NAMESPACES[kind].limit_name} is 0"
    return True, "present" if limit is None else f"at most {limit}"


def _unprivileged_userns(host: Host) -> tuple[bool, str]:
    ok, reason = _namespace(host, "user")
    if not ok:
        return ok, reason
    if host.unprivileged_userns_clone == 0:
        return False, "/proc/sys/kernel/unprivileged_userns_clone is 0"
    if host.apparmor_restrict_unprivileged_userns:
        return False, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns is 1"
    return True, "allowed"


def _cgroups(host: Host) -> tuple[bool, str]:
    mode = host.cgroups.mode
    if mode == NONE:
        return False, "no cgroup hierarchy is mounted"
    unified, legacy = host.cgroups.unified, host.cgroups.legacy
    # A named tree is not for us to write to.
    directories = [tree.directory for tree in legacy if "=" not in tree.controllers[0]]
    directories += [unified.directory] if unified else []
    denied = [directory for directory in directories if not os.access(directory, os.W_OK)]
    if denied:
        return False, f"{mode}: no permission to write to {denied[0]}"
    return True, f"{mode}: {' '.join(host.cgroup_controllers) or 'no controllers'}"


def _cgroup_kill(host: Host) -> tuple[bool, str]:
    if host.cgroups.unified is None:
        return False, "no cgroup v2 tree is mounted"
    return host.cgroup_kill, "present" if host.cgroup_kill else f"Linux {host.kernel} is older than 5.14"


def _cgroup_freeze(host: Host) -> tuple[bool, str]:
    if host.cgroups.unified is not None:
        ok = host.is_at_least(5, 2)
        return ok, "cgroup.freeze" if ok else f"Linux {host.kernel} is older than 5.2"
    ok = "freezer" in host.cgroup_controllers
    return ok, "the v1 freezer" if ok else "no freezer controller is mounted"


def _clone_into_cgroup(host: Host) -> tuple[bool, str]:
    if host.cgroups.unified is None:
        return False, "no cgroup v2 tree is mounted"
    if not host.is_at_least(5, 7):
        return False, f"Linux {host.kernel} is older than 5.7"
    return _syscalls(host, "clone3")


def _clone3(host: Host) -> tuple[bool, str]:
    verdict = host.syscalls["clone3"]
    return verdict != "blocked", "clone3 is blocked" if verdict == "blocked" else "clone" if verdict else "clone3"


def _overlay(host: Host) -> tuple[bool, str]:
    if "overlay" in host.filesystems:
        return True, "in /proc/filesystems"
    return host.overlay_is_module, "a kernel module" if host.overlay_is_module else "not in /proc/filesystems"


def _seccomp(host: Host) -> tuple[bool, str]:
    if host.seccomp_mode is None:
        return False, "this kernel is built without seccomp"
    if "errno" not in host.seccomp_actions:
        return False, "this kernel is built without seccomp filters"
    if host.syscalls["seccomp"]:
        return False, f"seccomp is {host.syscalls['seccomp']}"
    return True, "filters" + (", and the caller is under one itself" if host.seccomp_mode == 2 else "")


def _syscalls(host: Host, *names: str) -> tuple[bool, str]:
    for name in names:
        if host.syscalls[name]:
            return False, f"{name} is {host.syscalls[name]}"
    return True, " ".join(names)


def _processes(host: Host) -> tuple[bool, str]:
    words, group = host.hidden_processes
    if not words:
        return True, "all in /proc"
    ok = host.has_capability("CAP_SYS_PTRACE") or group in host.groups
    return ok, f"/proc is mounted with {words}" + (", and the caller sees all" if ok else "")


def _yama(host: Host) -> tuple[bool, str]:
    scope = host.yama_ptrace_scope
    return scope is None or scope < 2, "not restricted" if scope is None else f"ptrace_scope is {scope}"


_CHECKS: tuple[tuple[str, Callable[[Host], tuple[bool, str]], str], ...] = (
    (
        "unprivileged-user-namespaces",
        _unprivileged_userns,
        "users other than root cannot start pods; pods of root work",
    ),
    ("cgroups", _cgroups, "containers cannot be tracked or limited: they do not start"),
    ("cgroup-kill", _cgroup_kill, "groups are frozen and their processes killed one by one: slower, but as reliable"),
    ("cgroup-freeze", _cgroup_freeze, "pause does not work, and a fork bomb may outrun kill; the rest works"),
    ("clone3-into-cgroup", _clone_into_cgroup, "a new process moves itself into its group: slower, but as reliable"),
    (
        "overlay",
        _overlay,
        "every container has a copy of all files of its image: slower, and takes as much disk space; the rest works",
    ),
    ("seccomp", _seccomp, "containers start with --security-opt seccomp=unconfined only"),
    (
        "pidfd",
        lambda host: _syscalls(host, "pidfd_open", "pidfd_send_signal"),
        "a process cannot be told from a later one with the same pid: nothing starts",
    ),
    (
        "openat2",
        lambda host: _syscalls(host, "openat2"),
        "paths cannot be resolved inside a container safely: containers do not start",
    ),
    (
        "mount-api",
        lambda host: _syscalls(host, "open_tree", "move_mount", "fsopen"),
        "mounts by descriptor do not work: containers do not start",
    ),
    (
        "mount-setattr",
        lambda host: _syscalls(host, "mount_setattr"),
        "root file systems cannot be mounted with their options: containers do not start",
    ),
    (
        "namespace-calls",
        lambda host: _syscalls(host, "unshare", "setns", "pivot_root", "sethostname"),
        "namespaces cannot be created, joined or set up: containers do not start",
    ),
    (
        "clone3",
        _clone3,
        "no program can be started: the C library uses clone only where clone3 is missing (a filter should say ENOSYS)",
    ),
    (
        "processes",
        _processes,
        "what runs with other ids cannot be told from what has ended: pods of users do not start",
    ),
    ("yama", _yama, "strace -p and gdb -p work for root only or not at all; pods are not affected"),
)
