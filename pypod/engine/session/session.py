"""The session of a user who is not root: the user namespace that all their pods of one storage live in.

A tiny process of ours holds it, and a mount namespace for what is mounted under ``pypod unshare``, as podman's does;
containers begin with the host's mounts, as they are by then. It is known as containers are, by a status file in the
storage directory with pid, start time and boot id, so nothing needs to lie under /run where somebody else could be
first, or a logout sweeps. Python never enters it: the C programs do, told by an operation of their plan or by their
environment.
"""

from __future__ import annotations

import errno
import os

from pypod.engine.core import observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.effects import Effect
from pypod.engine.session import subordinate_ids
from pypod.errors import LaunchFailed, PermissionDenied, Unsupported, WrongState
from pypod.kernel import idmap, pidfd
from pypod.kernel.abi import CLONE_NEWNS, CLONE_NEWUSER, SIGTERM
from pypod.kernel.pidfd import Process
from pypod.model.value import Value
from pypod.runtime.ops import Op

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.engine.core.context import Context
    from pypod.kernel.idmap import Range

_NAME = "pypod-session"
_END_TIMEOUT_S = 5.0
_PROFILE = (
    "where AppArmor gives them to programs with a profile only, an administrator can let pypod's launcher have one: "
    "how-to/without-root in pypod's documentation"
)


class Session(Value):
    """Where a user's pods live.

    ``holder`` is the process that keeps the namespaces, None for who is inside already and for a session that is
    still to be made. The maps are its user and group ids, as this process names those outside.
    """

    holder: Process | None = None
    uid_map: tuple[Range, ...]
    gid_map: tuple[Range, ...]

    @property
    def ids(self) -> int:
        """How many ids there are from 0 on, both of users and groups."""
        return min(self.uids, self.gids)

    @property
    def has_one_id(self) -> bool:
        """Whether the user has no ids but their own: then nobody may change groups, and all files are root's."""
        return self.ids == 1

    @property
    def maps(self) -> tuple[tuple[Range, ...], tuple[Range, ...]]:
        """Both maps, of users and groups."""
        return self.uid_map, self.gid_map

    @property
    def uids(self) -> int:
        """How many user ids there are from 0 on."""
        return idmap.count_from_zero(self.uid_map)

    @property
    def gids(self) -> int:
        """How many group ids there are from 0 on."""
        return idmap.count_from_zero(self.gid_map)

    @property
    def inner_uids(self) -> tuple[Range, ...]:
        """The user ids there are, in the pieces in which a namespace inside may have them."""
        return tuple((inside, inside, count) for inside, _, count in self.uid_map)

    @property
    def inner_gids(self) -> tuple[Range, ...]:
        """The same of groups."""
        return tuple((inside, inside, count) for inside, _, count in self.gid_map)

    def owns(self, status: os.stat_result) -> bool:
        """Return whether the owner of a file has an id in it."""
        pairs = ((self.uid_map, status.st_uid), (self.gid_map, status.st_gid))
        return all(idmap.inside(ranges, one) is not None for ranges, one in pairs)


class Invocation(Value):
    """What ``os.execve`` and ``subprocess.run`` take: ``arguments`` begin with the name that the program is called by.

    >>> made = engine.unshare(["id", "-u"])                                                        # doctest: +SKIP
    >>> subprocess.run(made.arguments, executable=made.program, env=dict(made.environment))        # doctest: +SKIP
    """

    program: str
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]


def of(context: Context) -> Session | None:
    """Return the user's session as it is, or as it would be made; None for root, who needs none."""
    if not context.rootless:
        return None
    if context.inside:
        uid_map, gid_map = idmap.maps_of("self")
        return Session(uid_map=uid_map, gid_map=gid_map)
    found = _found(context)
    if found is None:
        uid_map, gid_map = subordinate_ids.wanted_maps()
        return Session(uid_map=uid_map, gid_map=gid_map)
    return found


def _found(context: Context) -> Session | None:
    """Return the session that there is. Who held it when it was last looked at holds it while they live."""
    known = context.known_session
    if known is not None and known.holder is not None and pidfd.is_alive(known.holder.pid, known.holder.start_time):
        return known
    state = observe.container_state(context.layout.session, context.boot_id)
    if not state.running:
        return None
    uid_map, gid_map = idmap.maps_of(state.pid)
    found = Session(holder=Process(state.pid, state.start_time), uid_map=uid_map, gid_map=gid_map)
    context.known_session = found
    return found


def _holder(context: Context) -> Process | None:
    found = _found(context)
    return found.holder if found else None


def ops(context: Context, session: Session | None) -> list[Op]:
    """Return what a plan begins with, so that its process belongs to the session."""
    if session is None or context.inside:
        return []
    holder = session.holder
    return [Op("session", holder.pid if holder else "still to be made", holder.start_time if holder else 0)]


def environment(context: Context) -> dict[str, str]:
    """Return what makes a program without a plan work in the session (pause/common/session.c); makes the session."""
    if not context.rootless or context.inside:
        return {}
    holder = ensure(context)
    return {"PYPOD_SESSION": f"{holder.pid}:{holder.start_time}"}


def unshared(context: Context, command: Sequence[str]) -> Invocation:
    """Return what runs a command as root of the session, which is made if there is none. Raises WrongState for root."""
    from pypod.kernel.programs import path

    if not context.rootless:
        raise WrongState("root", "", "please use unshare with rootless")
    variables = {**os.environ, **environment(context), "PYPOD_ROOT": context.layout.root}
    return Invocation(
        program=path("inside"),
        arguments=("pypod-inside", "--mounts", *command),
        environment=tuple(variables.items()),
    )


def preparations(context: Context) -> list[Effect]:
    """Return what makes the session, if it is needed and not there."""
    if not context.rootless or context.inside:
        return []
    holder = _holder(context)
    if holder is not None and _is_settled(context, holder):
        return []
    return [
        Effect("make the user's session: a user and a mount namespace", "user_namespaces(7)", lambda: ensure(context))
    ]


def ensure(context: Context) -> Process:
    """Return the holder of the session; make it if there is none.

    Raises Unsupported when this host gives users no namespaces, PermissionDenied when it does not map the ids.
    """
    from pypod.engine.core import scope
    from pypod.engine.core.locks import Lock

    holder = _holder(context)
    if holder is not None and _is_settled(context, holder):
        return holder
    with Boundary("make the user's session"), Lock(context.layout.session) as lock, lock:
        holder = _holder(context) or _make(context)
        scope.settle(context, holder.pid)
        return holder


def _is_settled(context: Context, holder: Process) -> bool:
    from pypod.engine.core import scope

    return scope.is_settled(context, holder.pid)


def _make(context: Context) -> Process:
    from pypod.kernel.programs import path as program_path
    from pypod.runtime import launcher
    from pypod.runtime.compiler import plan

    survivor = _survivor(context)
    settings = [Op("status", context.layout.session_status, context.boot_id), Op("leave")]
    hold = Op("execute", program_path("pause"), "-1", _NAME)
    if survivor is not None:
        what = plan([Op("session", survivor.pid, survivor.start_time), *settings], [Op("clone", CLONE_NEWNS, ""), hold])
    else:
        process = [Op("clone", CLONE_NEWUSER | CLONE_NEWNS, ""), Op("wait"), hold]
        what = plan([*settings, *subordinate_ids.mapping()], process)
    with launcher.Launching(_maker(), "pypod-launch", group="") as launching:
        try:
            made = launching.run(what)
        except LaunchFailed as error:
            raise _explained(error) from error
    return Process(made.process_pid, made.start_time)


def _maker() -> str:
    """Return the launcher that makes user namespaces: its file, which an AppArmor profile can name.

    No sealed copy, as all others are: that has no path. No container can reach it through /proc: it enters nobody's
    mount or pid namespace, and its image belongs to the host's user namespace (ptrace_may_access in kernel/ptrace.c).
    """
    from pypod.kernel.programs import path as program_path

    return program_path("launch")


def probe(context: Context) -> None:
    """Make what a session is, enter it, change its mounts and let it end: nobody else learns of it.

    Raises what making one raises. As with containers, a sealed copy enters what the launcher's file made: a security
    module may treat the two differently.
    """
    from pypod.kernel.programs import path as program_path
    from pypod.runtime import launcher
    from pypod.runtime.compiler import plan
    from pypod.runtime.ops import MS_REC, MS_SLAVE
    from pypod.runtime.probe import probe

    owner = context.owner()
    settings = [Op("owner", owner.pid, owner.start_time), *subordinate_ids.mapping()]
    hold = Op("execute_file", program_path("pause"), _NAME, "3", _NAME)
    made = plan(settings, [Op("clone", CLONE_NEWUSER | CLONE_NEWNS, ""), Op("wait"), hold])
    inside = [Op("clone", CLONE_NEWNS, ""), Op("propagation", MS_REC | MS_SLAVE)]
    with Boundary("make the user's session"), launcher.Launching(_maker(), "pypod-launch") as launching:
        try:
            holder = launching.run(made)
            try:
                entering = [Op("session", holder.process_pid, holder.start_time)]
                probe(context.programs.executable("launch"), entering, inside)
            finally:
                launcher.let_go(holder)
                pidfd.end(holder.process_pid, holder.start_time, SIGTERM, _END_TIMEOUT_S)
        except LaunchFailed as error:
            raise _explained(error) from error


def _survivor(context: Context) -> Process | None:
    """Return a process that lives in the session whose holder is gone: what runs must stay within reach.

    Its user namespace is the session's when the one around it is ours: a container can only go further in.
    """
    from pypod.store import records

    places = [context.layout.container(record.id) for record in records.all_containers(context.database)]
    for place in (context.layout.bridges, *places):
        state = observe.container_state(place, context.boot_id)
        if state.running and _is_below_ours(state.pid):
            return Process(state.pid, state.start_time)
    return None


def _is_below_ours(pid: int) -> bool:
    from pypod.kernel.namespaces import parent_inode

    try:
        return parent_inode(f"/proc/{pid}/ns/user") == os.stat("/proc/self/ns/user").st_ino
    except OSError:
        return False


def _explained(error: LaunchFailed) -> Exception:
    """Say what a user or their administrator can do about a session that cannot be made."""
    from pypod.kernel.host.checks import check

    judged = next(one for one in check() if one.name == "unprivileged-user-namespaces")
    refused = not judged.ok and error.errno in (errno.EPERM, errno.EACCES) and error.call in ("mount", "setns")
    if error.call in ("clone3", "unshare") or refused:
        why = error.message if judged.ok else f"{judged.reason} ({error.message})"
        # no other rule of the kernel's says EACCES here (clone(2), mount(2))
        has_module = error.errno == errno.EACCES or "apparmor" in judged.reason
        hint = _PROFILE if has_module else "an administrator can allow them, or run pypod as root"
        return Unsupported("user namespaces", f"this host gives users no user namespaces: {why}", hint=hint)
    if error.call in ("exec", "write"):
        message = f"the ids of /etc/subuid and /etc/subgid cannot be mapped: {error.operation} failed"
        hint = "may newuidmap and newgidmap do so (set-user-ID or file capabilities), and are the ranges nobody else's?"
        return PermissionDenied("make the user's session", message, hint=hint)
    return error


def end(context: Context) -> bool:
    """End the holder; the next start makes a new session, with the maps that are right then. Return whether it ran.

    Nothing may run in the session: its namespace would live on beside the new one.
    """
    from pypod.engine.core.locks import Lock

    with Boundary("end the user's session"), Lock(context.layout.session) as lock, lock:
        holder = _holder(context)
        return holder is not None and pidfd.end(holder.pid, holder.start_time, SIGTERM, _END_TIMEOUT_S)
