"""Cgroups of an unprivileged user: in a scope that systemd creates and delegates (systemd.io/CGROUP_DELEGATION).

A user may write to the groups below user@UID.service, but moving a process requires write access to the common ancestor
of its old and new group (cgroups(7), "Delegation containment"). The scope of a login session lies beside that service,
so a process from there is moved by systemd: the user's instance asks the host's.
"""

from __future__ import annotations

import os

from pypod.errors import Unsupported
from pypod.kernel.cgroups import tree
from pypod.kernel.cgroups.detect import UNIFIED
from pypod.kernel.cgroups.v2 import UnifiedDriver
from pypod.kernel.proc import parse_cgroup, read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.kernel.cgroups.detect import Hierarchies
    from pypod.kernel.cgroups.systemd import Systemd

HOLDER = "/holder"  # the scope's own group must have no processes, in order to enable controllers
_SLICE = "user.slice"
_TIMEOUT_S = 5.0


class ScopeDriver(UnifiedDriver):
    """Groups of the v2 tree below a scope of the user's systemd. The contract is that of ``driver.Driver``.

    The scope lives as long as a process is in it. Its groups cannot be created until ``hold`` has put one there.
    """

    __slots__ = ("_bus", "_manager", "_mount", "_own", "_scope", "_uid", "prefix")

    no_controller_hint = (
        "an administrator can have systemd delegate more than cpu, memory and pids: Delegate=yes in a drop-in of "
        "user@.service"
    )

    def __init__(self, mount: str, own: str, uid: int, bus: str, scope: str) -> None:
        self._mount = mount
        self._own = own
        self._uid = uid
        self._bus = bus
        self._manager = manager_group(uid)
        self._scope = scope
        self.prefix = f"{self._manager}/{_SLICE}/{scope}"
        super().__init__(mount + self.prefix)

    def controllers(self) -> tuple[str, ...]:
        # A delegated scope gets all controllers of the user's systemd; until it exists, those are what counts.
        known = self.root if tree.exists(self.root) else f"{self._mount}{self._manager}"
        return tuple(sorted(tree.read(f"{known}/cgroup.controllers").split()))

    @property
    def enters_groups(self) -> bool:
        """Whether this process can clone children into the groups; otherwise ``bring`` must move them first."""
        if not self._own:
            return False
        common = os.path.commonpath((f"{self._mount}{self._own}", self.root))
        return os.access(f"{common}/cgroup.procs", os.W_OK)

    def holds(self, pid: int) -> bool:
        """Return whether a process keeps the scope alive."""
        return f"{self._mount}{_group_of(pid)}" == self.root + HOLDER

    def hold(self, pid: int) -> None:
        """Create the scope with this process in it; join it if it still exists with other processes.

        Raises Unsupported when systemd refuses.
        """
        with self._systemd() as systemd:
            if not systemd.start_scope(self._scope, _SLICE, pid):
                self._attach(systemd, HOLDER, pid)
        # systemd replies before the job is done
        if not tree.wait_until(lambda: f"{self._mount}{_group_of(pid)}".startswith(self.root), _TIMEOUT_S):
            raise Unsupported("cgroups", f"systemd did not put process {pid} into {self._scope}")
        tree.make(self.root, HOLDER)
        tree.write(f"{self.root}{HOLDER}/cgroup.procs", str(pid))

    def bring(self, path: str, pid: int) -> None:
        """Move a process of this user into a group, wherever it is now. Raises Unsupported when systemd refuses."""
        with self._systemd() as systemd:
            self._attach(systemd, path, pid)

    def _attach(self, systemd: Systemd, path: str, pid: int) -> None:
        tree.make(self.root, path)
        systemd.attach(self._scope, path, pid)

    def _systemd(self) -> Systemd:
        from pypod.kernel.cgroups.systemd import Systemd

        return Systemd(self._bus, self._uid)


def manager_group(uid: int) -> str:
    """Return the group that systemd delegates to a user: that of the user's systemd instance."""
    return f"/user.slice/user-{uid}.slice/user@{uid}.service"


def user_bus(uid: int) -> str:
    """Return the socket of a user's bus, empty when there is none."""
    address = os.environ.get("DBUS_SESSION_BUS_ADDRESS", "")
    for transport in address.split(";"):
        kind, _, rest = transport.partition(":")
        path = dict(word.partition("=")[::2] for word in rest.split(",")).get("path", "")
        if kind == "unix" and path.startswith("/") and "%" not in path:
            break
    else:
        path = f"{os.environ.get('XDG_RUNTIME_DIR') or f'/run/user/{uid}'}/bus"
    return path if os.path.exists(path) else ""


def why_not(hierarchies: Hierarchies, uid: int, bus: str) -> str:
    """Return why a user cannot have groups on this host; empty when they can."""
    if hierarchies.unified is None or hierarchies.mode != UNIFIED:
        return (
            f"systemd delegates them in a v2 tree with all controllers, but this host's cgroups are {hierarchies.mode}"
        )
    directory = f"{hierarchies.unified.directory}{manager_group(uid)}"
    if not os.access(f"{directory}/cgroup.procs", os.W_OK):
        return f"no systemd instance of user {uid} is running ({directory})"
    return "" if bus else f"user {uid} has no bus to reach systemd over (Debian: dbus-user-session)"


def _group_of(pid: int) -> str:
    return parse_cgroup(read_text(f"/proc/{pid}/cgroup")).get("", "")
