"""What this host can do: the facts of ``pypod info`` and the judgements of ``pypod system check``.

Reading changes nothing: everything comes from files, and from system calls whose arguments are wrong on purpose, so
that the kernel says either that it knows the call or that it does not.
"""

from __future__ import annotations

import errno
import os

from pypod.kernel.abi import KINDS, NAMESPACES
from pypod.kernel.capabilities import CAPABILITIES
from pypod.kernel.cgroups.detect import NONE, UNIFIED, detect
from pypod.kernel.proc import Proc, read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BAD_FLAGS = _EVERY_ID = 0xFFFFFFFF
# Name -> (number, arguments that cannot succeed). Calls since Linux 5.1 have one number on all architectures.
_PROBES: dict[str, tuple[int, tuple[int, ...]]] = {
    "pidfd_send_signal": (424, (-1, 0, 0, 0)),
    "open_tree": (428, (-1, 0, _BAD_FLAGS)),
    "move_mount": (429, (-1, 0, -1, 0, _BAD_FLAGS)),
    "fsopen": (430, (0, _BAD_FLAGS)),
    "pidfd_open": (434, (-1, 0)),
    "clone3": (435, (0, 0)),
    "openat2": (437, (-1, 0, 0, 0)),
    "mount_setattr": (442, (-1, 0, 0, 0, 0)),
}
# The older ones have numbers of x86_64, and those that asm-generic/unistd.h gives to the other architectures.
_OLDER: dict[str, tuple[int, int, tuple[int, ...]]] = {
    "unshare": (272, 97, (_BAD_FLAGS,)),
    "setns": (308, 268, (-1, 0)),
    "pivot_root": (155, 41, (0, 0)),
    "sethostname": (170, 161, (0, -1)),
    "seccomp": (317, 277, (_BAD_FLAGS, 0, 0)),
}
_PROBES |= {
    name: (number if os.uname().machine == "x86_64" else generic, arguments)
    for name, (number, generic, arguments) in _OLDER.items()
}
# These look at the caller's privilege before their arguments: without it EPERM does not mean a seccomp filter.
_PRIVILEGED = ("move_mount", "fsopen", "pivot_root", "sethostname")

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


class Host:
    """The facts of a host, read once when this is made.

    A number that the kernel does not tell is None. ``syscalls`` maps the name of a newer system
    call to "" when it works, or to "missing" or "blocked" (by a seccomp filter). ``namespaces`` has the kinds that
    exist, ``namespace_limits`` how many of each a user may have.
    """

    def __init__(
        self,
        *,
        proc: str = "/proc",
        etc: str = "/etc",
        modules: str = "/lib/modules",
        attempt: Callable[[int, tuple[int, ...]], int] | None = None,
    ) -> None:
        kernel = f"{proc}/sys/kernel"
        self.kernel = read_text(f"{kernel}/osrelease")
        self.hostname = read_text(f"{kernel}/hostname")
        self.machine = os.uname().machine
        self.boot_id = Proc(proc).boot_id()
        self.os_release = _assignments(read_text(f"{etc}/os-release") or read_text(f"{etc}/../usr/lib/os-release"))

        self.cgroups = detect(proc)
        self.cgroup_controllers = _controllers(self)
        self.cgroup_kill = _has_cgroup_kill(self)

        self.namespaces = tuple(kind for kind in KINDS if os.path.lexists(f"{proc}/self/ns/{kind}"))
        limits = {kind: _integer(f"{proc}/sys/user/{NAMESPACES[kind].limit_name}") for kind in KINDS}
        self.namespace_limits = {kind: limit for kind, limit in limits.items() if limit is not None}
        self.unprivileged_userns_clone = _integer(f"{kernel}/unprivileged_userns_clone")
        self.apparmor_restrict_unprivileged_userns = _integer(f"{kernel}/apparmor_restrict_unprivileged_userns")
        self.yama_ptrace_scope = _integer(f"{kernel}/yama/ptrace_scope")

        status = Proc(proc).status("self")
        self.uid = status.uid if status else os.geteuid()
        self.capabilities = status.capabilities.get("eff", 0) if status else 0
        self.seccomp_mode = status.seccomp_mode if status else None
        self.groups = status.groups if status else ()
        self.hidden_processes = _hidepid(read_text(f"{proc}/self/mountinfo"))
        self.seccomp_actions = tuple(read_text(f"{kernel}/seccomp/actions_avail").split())
        self.filesystems = tuple(line.split()[-1] for line in read_text(f"{proc}/filesystems").splitlines())
        # The kernel loads the module by itself when the first overlay is mounted.
        self.overlay_is_module = "/overlay.ko" in read_text(f"{modules}/{self.kernel}/modules.dep")
        maps = read_text(f"{proc}/self/uid_map").split()
        is_admin = self.has_capability("CAP_SYS_ADMIN") and maps == ["0", "0", str(_EVERY_ID)]
        self.syscalls = {
            name: _verdict((attempt or _attempt)(*probe), is_privileged=is_admin or name not in _PRIVILEGED)
            for name, probe in _PROBES.items()
        }

    def has_capability(self, name: str) -> bool:
        """Return whether the caller has a capability, CAP_SYS_ADMIN for one, in its effective set."""
        return bool(self.capabilities >> CAPABILITIES.index(name) & 1)

    def is_at_least(self, major: int, minor: int) -> bool:
        """Return whether the kernel's version is at least this one."""
        numbers = "".join(char if char.isdigit() else " " for char in self.kernel).split()
        return [int(number) for number in numbers[:2]] >= [major, minor]


class Check:
    """One judgement: ``reason`` is the fact behind it, ``consequence`` what does not work and what still does.

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
    """Judge a host, this one by default: what pypod needs of it, what is missing and what follows from that."""
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
    # A named tree is not ours to write to.
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


def _hidepid(mountinfo: str) -> tuple[str, int]:
    """Return the option of /proc that hides processes, empty without one, and the group that sees them (0: root's)."""
    found = ""
    for line in mountinfo.splitlines():
        head, _, tail = line.partition(" - ")
        if head.split(" ")[4:5] == ["/proc"]:
            found = tail.rpartition(" ")[2]  # the last is on top
    options = dict(option.partition("=")[::2] for option in found.split(","))
    kind = options.get("hidepid", "0")
    group = options.get("gid", "0")
    return "" if kind in ("0", "off") else f"hidepid={kind}", int(group) if group.isdigit() else 0


def _yama(host: Host) -> tuple[bool, str]:
    scope = host.yama_ptrace_scope
    return scope is None or scope < 2, "not restricted" if scope is None else f"ptrace_scope is {scope}"


_CHECKS: tuple[tuple[str, Callable[[Host], tuple[bool, str]], str], ...] = (
    (
        "unprivileged-user-namespaces",
        _unprivileged_userns,
        "users other than root cannot start pods; pods of root work",
    ),
    ("cgroups", _cgroups, "containers are not kept track of and have no limits: they do not start"),
    ("cgroup-kill", _cgroup_kill, "groups are frozen and their processes killed one by one: slower, as certain"),
    ("cgroup-freeze", _cgroup_freeze, "pause does not work, and a fork bomb may outrun kill; the rest works"),
    ("clone3-into-cgroup", _clone_into_cgroup, "a new process writes itself into its group: slower, as right"),
    (
        "overlay",
        _overlay,
        "every container has a copy of all files of its image: slower, and as much of the disk; the rest works",
    ),
    ("seccomp", _seccomp, "containers start with --security-opt seccomp=unconfined only"),
    (
        "pidfd",
        lambda host: _syscalls(host, "pidfd_open", "pidfd_send_signal"),
        "processes cannot be told from later ones with the same pid: nothing starts",
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
        "namespaces cannot be made, joined or furnished: containers do not start",
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


def _attempt(number: int, arguments: tuple[int, ...]) -> int:
    """Make a system call and return the error number it fails with."""
    from pypod.kernel import syscalls

    return syscalls.attempt(number, arguments)


def _verdict(error: int, *, is_privileged: bool) -> str:
    if error == errno.ENOSYS:
        return "missing"
    return "blocked" if error == errno.EPERM and is_privileged else ""


def _controllers(host: Host) -> tuple[str, ...]:
    """Return the controllers that can be used: on a hybrid host those left over in the v2 tree cannot."""
    if host.cgroups.unified is not None and host.cgroups.mode == UNIFIED:
        return tuple(sorted(read_text(f"{host.cgroups.unified.directory}/cgroup.controllers").split()))
    return tuple(sorted(name for tree in host.cgroups.legacy for name in tree.controllers if "=" not in name))


def _has_cgroup_kill(host: Host) -> bool:
    # The file is in every group but the root, which may have no children; then the version has to do.
    if host.cgroups.unified is None:
        return False
    return host.is_at_least(5, 14) or any(map(os.path.exists, _kill_files(host.cgroups.unified.directory)))


def _kill_files(directory: str) -> Iterator[str]:
    try:
        with os.scandir(directory) as entries:
            yield from (f"{entry.path}/cgroup.kill" for entry in entries if entry.is_dir())
    except OSError:
        return


def _integer(path: str) -> int | None:
    text = read_text(path)
    return int(text) if text else None


def _assignments(text: str) -> dict[str, str]:
    """Parse os-release(5): NAME="value", quotes optional."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            found[name] = value[1:-1] if quoted else value
    return found
