"""What this host supports for pods, and what a crash left in the storage."""

from __future__ import annotations

import os

from pypod.errors import PypodError, Unsupported
from pypod.kernel.host.checks import check
from pypod.kernel.host.facts import Host
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pypod.engine.core.context import Context

NEEDED = frozenset(
    (
        "cap-chown",
        "cap-dac-override",
        "cap-fowner",
        "cap-fsetid",
        "cap-kill",
        "cap-net-admin",
        "cap-net-bind-service",
        "cap-setfcap",
        "cap-setgid",
        "cap-setpcap",
        "cap-setuid",
        "cap-sys-admin",
        "cap-sys-chroot",
        "cgroups",
        "clone3",
        "mount-api",
        "mount-setattr",
        "namespace-calls",
        "namespace-ipc",
        "namespace-mnt",
        "namespace-net",
        "namespace-pid",
        "namespace-uts",
        "openat2",
        "pidfd",
        "processes",
        "programs",
        "seccomp",
        "session",
        "storage",
        "storage-driver",
        "user",
    )
)
# A user has the capabilities in their own user namespace, which the session check covers, and can do without cgroups.
_NEEDED_BY_USERS = frozenset({name for name in NEEDED if not name.startswith("cap-")} - {"cgroups"})
_SHOWN_BY_THE_SESSION = ("cap-", "unprivileged-user-namespaces")
_PROGRAMS = ("pause", "launch", "monitor", "init", "discard", "unpack")

Judgement = tuple[str, bool, str]


class Finding(Value):
    """One thing that pypod checks on a host.

    ``text`` says what there is, or what is missing and the consequences. Without what is ``needed`` no pod starts with
    the defaults; without the rest something else does not work.
    """

    name: str
    ok: bool
    text: str
    needed: bool = False


class HostReport(Value):
    """All findings; ``leftovers`` are lines about what a crash left, or what was repaired."""

    findings: tuple[Finding, ...]
    leftovers: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of what is needed but missing."""
        return tuple(one.name for one in self.findings if one.needed and not one.ok)

    @property
    def usable(self) -> bool:
        """Whether the caller can run pods here."""
        return not self.missing


def report(open_context: Callable[[], Context], *, repair: bool) -> HostReport:
    """Check the host and the storage that ``open_context`` opens; with ``repair`` remove what a crash left."""
    judged = _host()
    leftovers, storage = _storage(open_context, repair=repair)
    needed = NEEDED if os.geteuid() == 0 else _NEEDED_BY_USERS
    findings = (Finding(name=name, ok=ok, text=text, needed=name in needed) for name, ok, text in (*judged, *storage))
    return HostReport(findings=tuple(findings), leftovers=tuple(leftovers))


def _host() -> list[Judgement]:
    """Return (name, whether it is fine, reason and consequence) of every check of the host."""
    from pypod.kernel.programs import path

    host = Host()
    rows = [("user", True, "root" if host.uid == 0 else f"uid {host.uid}"), *_ids(host)]
    try:
        programs = [path(name) for name in _PROGRAMS]
        rows.append(("programs", True, programs[0].rpartition("/")[0]))
    except Unsupported as error:
        rows.append(("programs", False, str(error)))
    for one in check(host):
        if host.uid != 0 and one.name == "cgroups":
            rows.append(_groups(host))
        elif host.uid == 0 or not one.name.startswith(_SHOWN_BY_THE_SESSION):
            rows.append((one.name, one.ok, one.reason if one.ok else f"{one.reason}: {one.consequence}"))
    return rows if host.uid == 0 else [*rows, _network()]


def _groups(host: Host) -> Judgement:
    from pypod.kernel.cgroups.none import HINT
    from pypod.kernel.cgroups.scope import user_bus, why_not

    why = why_not(host.cgroups, host.uid, user_bus(host.uid))
    return "cgroups", not why, f"{why}: {HINT}" if why else "a scope that the user's systemd delegates"


def _network() -> Judgement:
    """Return the result for the default network of a user's pods."""
    from pypod.engine.networks import options, user_network

    missing = options.notice()
    return "network", not missing, missing or os.environ.get(options.DEFAULT_VARIABLE) or user_network.default()


def _ids(host: Host) -> Iterable[Judgement]:
    """Return the result for the ids that a user may give to users of containers."""
    from pypod.engine.session.subordinate_ids import notice, wanted_maps
    from pypod.kernel.idmap import count_from_zero

    if host.uid == 0:
        return ()
    missing = notice()
    counts = [count_from_zero(ranges) for ranges in wanted_maps()]
    text = missing or f"{counts[0]} user ids and {counts[1]} group ids in a container"
    return (("subordinate-ids", not missing, text),)


def _storage(open_context: Callable[[], Context], *, repair: bool) -> tuple[list[str], list[Judgement]]:
    """Return lines about what a crash left (and what was done about it), and the results for the storage."""
    from pypod.engine.containers import collect
    from pypod.engine.core import lost_records
    from pypod.engine.storage import secret_files, volume_files
    from pypod.store import records

    lines: list[str] = []
    try:
        with open_context() as context:
            lines += map(str, lost_records.lost_at_most(context))
            lines += [f"volume {name} has no record" for name in volume_files.lost_at_most(context)]
            lines += [f"secret {one.name} has no record" for one in secret_files.lost(context)]
            if repair:
                lines = collect.repair(context) or ["nothing to repair"]
            counts = len(records.all_pods(context.database)), len(records.all_containers(context.database))
            if not repair:
                lines += _left_behind(context)
                lines += ["pypod system check --repair mends it"] if lines else []
            verdict = ("storage", True, f"{context.layout.root}: {counts[0]} pods, {counts[1]} containers")
            return lines, [*_tried(context), verdict]
    except PypodError as error:
        return lines, [("storage", False, str(error))]


def _left_behind(context: Context) -> list[str]:
    from pypod.engine.containers import collect
    from pypod.engine.images.removal import leftovers
    from pypod.engine.networks import network_repair
    from pypod.engine.networks.names import service
    from pypod.engine.storage import secret_files, trash

    left = (*collect.orphans(context), *leftovers(context), *secret_files.orphans(context), *trash.left_behind(context))
    lines = [f"left behind: {path}" for path in (*left, *service.left_behind(context))]
    return [*lines, *(f"amiss: {words}" for words in network_repair.amiss(context))]


def _tried(context: Context) -> list[Judgement]:
    """Return the results that require a probe: a user's session, and the storage driver.

    Both are probed anew, since something may have been installed. For a user without a session, a private one is made
    and ended; the storage driver is left to the first start.
    """
    from pypod.engine.session import session
    from pypod.engine.storage import drivers

    own = session.of(context)
    is_there = own is None or own.holder is not None or context.inside
    rows: list[Judgement] = []
    try:
        if not is_there:
            session.probe(context)
        if own is not None:
            rows.append(("session", True, "your user namespace " + ("exists" if is_there else "can be created")))
        if is_there:
            drivers.forget(context)
        driver = drivers.of(context) if is_there else drivers.expected(context)
    except PypodError as error:
        return [*rows, ("storage-driver" if rows or own is None else "session", False, str(error))]
    why = f", since not {driver.reason}" if driver.reason else ""
    later = "" if is_there or drivers.is_tried(context, driver) else ", if the first start finds that it works"
    rows.append(("storage-driver", True, f"{driver}{why}{later}"))
    if driver.is_kernel and context.rootless and is_there:
        missing = drivers.program_missing(context, asking=True)
        consequence = "a directory with mounts in it, such as /, cannot be a root file system (--rootfs /:O)"
        rows.append(("mount-program", not missing, f"{missing}: {consequence}" if missing else drivers.MOUNT_PROGRAM))
    return rows
