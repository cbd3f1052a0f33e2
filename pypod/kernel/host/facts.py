"""Facts about this host, shown by ``pypod info`` and checked by ``pypod system check``.

Reading them has no side effects: they come from files, and from system calls with invalid arguments, whose error shows
whether the kernel knows the call.
"""

from __future__ import annotations

import errno
import os

from pypod.kernel.abi import KINDS, NAMESPACES
from pypod.kernel.capabilities import CAPABILITIES
from pypod.kernel.cgroups.detect import UNIFIED, detect
from pypod.kernel.proc import Proc, read_text
from pypod.kernel.release import is_at_least

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BAD_FLAGS = _EVERY_ID = 0xFFFFFFFF
# Name -> (number, arguments that cannot succeed). Calls since Linux 5.1 have the same number on all architectures.
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
# Older ones have the numbers of x86_64, and those of asm-generic/unistd.h for other architectures.
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
# These check privileges before arguments: EPERM in an unprivileged caller does not mean a seccomp filter.
_PRIVILEGED = ("move_mount", "fsopen", "pivot_root", "sethostname")


class Host:
    """The facts about a host, read once on construction.

    A number that the kernel does not provide is None. ``syscalls`` maps the names of newer system calls to "" when they
    work, or to "missing" or "blocked" (by a seccomp filter). ``namespaces`` lists the kinds that exist,
    ``namespace_limits`` how many of each a user may have.
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
        # The kernel loads the module on demand when the first overlay is mounted.
        self.overlay_is_module = "/overlay.ko" in read_text(f"{modules}/{self.kernel}/modules.dep")
        maps = read_text(f"{proc}/self/uid_map").split()
        is_admin = self.has_capability("CAP_SYS_ADMIN") and maps == ["0", "0", str(_EVERY_ID)]
        self.syscalls = {
            name: _verdict((attempt or _attempt)(*probe), is_privileged=is_admin or name not in _PRIVILEGED)
            for name, probe in _PROBES.items()
        }

    def has_capability(self, name: str) -> bool:
        """Return whether a capability, such as CAP_SYS_ADMIN, is in the caller's effective set."""
        return bool(self.capabilities >> CAPABILITIES.index(name) & 1)

    def is_at_least(self, major: int, minor: int) -> bool:
        """Return whether the kernel's version is at least this one."""
        return is_at_least(major, minor, self.kernel)


def _hidepid(mountinfo: str) -> tuple[str, int]:
    """Return the hidepid option of /proc, empty without one, and the group exempt from it (0: root's)."""
    found = ""
    for line in mountinfo.splitlines():
        head, _, tail = line.partition(" - ")
        if head.split(" ")[4:5] == ["/proc"]:
            found = tail.rpartition(" ")[2]  # the last mount is on top
    options = dict(option.partition("=")[::2] for option in found.split(","))
    kind = options.get("hidepid", "0")
    group = options.get("gid", "0")
    return "" if kind in ("0", "off") else f"hidepid={kind}", int(group) if group.isdigit() else 0


def _attempt(number: int, arguments: tuple[int, ...]) -> int:
    """Make a system call and return the error number that it fails with."""
    from pypod.kernel import syscalls

    return syscalls.attempt(number, arguments)


def _verdict(error: int, *, is_privileged: bool) -> str:
    if error == errno.ENOSYS:
        return "missing"
    return "blocked" if error == errno.EPERM and is_privileged else ""


def _controllers(host: Host) -> tuple[str, ...]:
    """Return the usable controllers: on a hybrid host, those left in the v2 tree are not."""
    if host.cgroups.unified is not None and host.cgroups.mode == UNIFIED:
        return tuple(sorted(read_text(f"{host.cgroups.unified.directory}/cgroup.controllers").split()))
    return tuple(sorted(name for tree in host.cgroups.legacy for name in tree.controllers if "=" not in name))


def _has_cgroup_kill(host: Host) -> bool:
    # The file exists in every group but the root, which may have no children; then the version decides.
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
