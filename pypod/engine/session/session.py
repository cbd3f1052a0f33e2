"""The session of a user who is not root: the user namespace shared by all pods of theirs in one storage.

A tiny process of ours holds it, together with a mount namespace for what is mounted under ``pypod unshare``, as
podman's does. Containers start from a copy of the host's current mounts. Like a container, the holder is identified by
a status file in the storage directory with pid, start time and boot id, so nothing needs to lie under /run, where
another user could create it first or a logout removes it. Python never enters the session: the C programs do, as an
operation of their plan or their environment tells them.
"""

from __future__ import annotations

import errno
import os

from pypod.engine.core import observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.effects import Effect
from pypod.errors import LaunchFailed, PermissionDenied, Unsupported, WrongState
from pypod.kernel import idmap, pidfd
from pypod.kernel.abi import CLONE_NEWNS, CLONE_NEWUSER, SIGTERM
from pypod.kernel.pidfd import Process
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.engine.core.context import Context
    from pypod.kernel.idmap import Range
    from pypod.runtime.ops import Op

_NAME = "pypod-session"
_END_TIMEOUT_S = 5.0
_PROFILE = (
    "where AppArmor allows them to confined programs only, an administrator can add a profile for pypod's launcher: "
    "how-to/without-root in pypod's documentation"
)


class Session(Value):
    """Where a user's pods live.

    ``holder`` is the process that keeps the namespaces alive, None when the caller is inside already or the session is
    still to be made. The maps are of user and group ids, with the outer ones as this process sees them.
    """

    holder: Process | None = None
    uid_map: tuple[Range, ...]
    gid_map: tuple[Range, ...]

    @property
    def ids(self) -> int:
        """How many ids from 0 on are mapped, of both users and groups."""
        return min(self.uids, self.gids)

    @property
    def has_one_id(self) -> bool:
        """Whether the user has no ids but their own: then groups cannot be changed, and root owns all files."""
        return self.ids == 1

    @property
    def maps(self) -> tuple[tuple[Range, ...], tuple[Range, ...]]:
        """Both maps, of users and groups."""
        return self.uid_map, self.gid_map

    @property
    def uids(self) -> int:
        """How many user ids are mapped from 0 on."""
        return idmap.count_from_zero(self.uid_map)

    @property
    def gids(self) -> int:
        """How many group ids are mapped from 0 on."""
        return idmap.count_from_zero(self.gid_map)

    @property
    def inner_uids(self) -> tuple[Range, ...]:
        """The mapped user ids, in the ranges that a nested namespace can map them in."""
        return tuple((inside, inside, count) for inside, _, count in self.uid_map)

    @property
    def inner_gids(self) -> tuple[Range, ...]:
        """The mapped group ids, likewise."""
        return tuple((inside, inside, count) for inside, _, count in self.gid_map)

    def owns(self, status: os.stat_result) -> bool:
        """Return whether the owner of a file is mapped in the session."""
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
    """Return the user's session, or the one that would be made; None for root, who needs none."""
    if not context.rootless:
        return None
    if context.inside:
        uid_map, gid_map = idmap.maps_of("self")
        return Session(uid_map=uid_map, gid_map=gid_map)
    found = _found(context)
    if found is None:
        from pypod.engine.session import subordinate_ids

        uid_map, gid_map = subordinate_ids.wanted_maps()
        return Session(uid_map=uid_map, gid_map=gid_map)
    return found


def _found(context: Context) -> Session | None:
    """Return the existing session, if any. Its last known holder remains the holder while it lives."""
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
    """Return the first operations of a plan, which make its process join the session."""
    if session is None or context.inside:
        return []
    from pypod.runtime.ops import Op

    holder = session.holder
    return [Op("session", holder.pid if holder else "still to be made", holder.start_time if holder else 0)]


def environment(context: Context) -> dict[str, str]:
    """Make the session; return the environment that lets a program without a plan join (pause/common/session.c)."""
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
    """Return what makes the session, if one is needed and missing."""
    if not context.rootless or context.inside:
        return []
    holder = _holder(context)
    if holder is not None and _is_placed(context, holder):
        return []
    return [
        Effect("make the user's session: a user and a mount namespace", "user_namespaces(7)", lambda: ensure(context))
    ]


def ensure(context: Context) -> Process:
    """Return the holder of the session, made first if need be.

    Raises Unsupported when this host allows users no namespaces, PermissionDenied when the ids cannot be mapped.
    """
    from pypod.engine.core import scope
    from pypod.engine.core.locks import Lock

    holder = _holder(context)
    if holder is not None and _is_placed(context, holder):
        return holder
    with Boundary("make the user's session"), Lock(context.layout.session) as lock, lock:
        holder = _holder(context) or _make(context)
        scope.place(context, holder.pid)
        return holder


def _is_placed(context: Context, holder: Process) -> bool:
    from pypod.engine.core import scope

    return scope.is_placed(context, holder.pid)


def _make(context: Context) -> Process:
    from pypod.engine.session import subordinate_ids
    from pypod.kernel.programs import path as program_path
    from pypod.runtime import launcher
    from pypod.runtime.ops import Op, plan

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
    """Return the path of the launcher that makes user namespaces: a file that an AppArmor profile can name.

    Everywhere else a sealed copy runs, which has no path. Containers cannot reach this one through /proc: it never
    enters their mount or pid namespaces, and its image belongs to the host's user namespace (ptrace_may_access in
    kernel/ptrace.c).
    """
    from pypod.kernel.programs import path as program_path

    return program_path("launch")


def probe(context: Context) -> None:
    """Make a session as a probe: enter it, change its mounts, and let it end without recording it.

    Raises what making one raises. As for containers, a sealed copy enters what the launcher's file made, since a
    security module may treat the two differently.
    """
    from pypod.engine.session import subordinate_ids
    from pypod.kernel.programs import path as program_path
    from pypod.runtime import launcher
    from pypod.runtime.ops import MS_REC, MS_SLAVE, Op, plan
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
                launcher.release(holder)
                pidfd.end(holder.process_pid, holder.start_time, SIGTERM, _END_TIMEOUT_S)
        except LaunchFailed as error:
            raise _explained(error) from error


def _survivor(context: Context) -> Process | None:
    """Return a process that lives in the session whose holder is gone, so that what runs stays reachable.

    If the parent of its user namespace is ours, that namespace is the session's: a container can only be in a deeper
    one.
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
    """Turn a failure to make a session into an error that says what the user or their administrator can do about it."""
    from pypod.kernel.host.checks import check

    judged = next(one for one in check() if one.name == "unprivileged-user-namespaces")
    refused = not judged.ok and error.errno in (errno.EPERM, errno.EACCES) and error.call in ("mount", "setns")
    if error.call in ("clone3", "unshare") or refused:
        why = error.message if judged.ok else f"{judged.reason} ({error.message})"
        # no other check of the kernel returns EACCES here (clone(2), mount(2))
        has_module = error.errno == errno.EACCES or "apparmor" in judged.reason
        hint = _PROFILE if has_module else "an administrator can allow them, or run pypod as root"
        return Unsupported("user namespaces", f"this host allows users no user namespaces: {why}", hint=hint)
    if error.call in ("exec", "write"):
        message = f"the ids of /etc/subuid and /etc/subgid cannot be mapped: {error.operation} failed"
        hint = "newuidmap and newgidmap must be set-user-ID or have file capabilities, and no two users share ids"
        return PermissionDenied("make the user's session", message, hint=hint)
    return error


def end(context: Context) -> bool:
    """End the holder; return whether it ran. The next start makes a new session with the maps that apply then.

    Nothing may be running in the session: its namespace would persist beside the new one.
    """
    from pypod.engine.core.locks import Lock

    with Boundary("end the user's session"), Lock(context.layout.session) as lock, lock:
        holder = _holder(context)
        return holder is not None and pidfd.end(holder.pid, holder.start_time, SIGTERM, _END_TIMEOUT_S)
