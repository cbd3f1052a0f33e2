"""version, info and system check."""

from __future__ import annotations

import os
import sys

from pypod.cli.flags.parser import Command, Flag
from pypod.errors import PypodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.api.engine import Engine
    from pypod.cli.flags.parser import Parsed
    from pypod.kernel.host.facts import Host

_FORMAT = Flag(name="format", short="f", help="Change the output format to JSON or a Go template")
INFO = Command(
    path="pypod info",
    summary="Display pypod system information",
    description="Display information pertaining to the host, current storage stats, and version of pypod.",
    synopsis="[options]",
    flags=(_FORMAT,),
    examples=("pypod info", "pypod info --format '{{.Host.CgroupVersion}}'"),
    max_args=0,
)
VERSION = Command(
    path="pypod version",
    summary="Display the pypod version information",
    synopsis="[options]",
    flags=(_FORMAT,),
    examples=("pypod version", "pypod version --format '{{.Client.Version}}'"),
    max_args=0,
)
CHECK = Command(
    path="pypod system check",
    summary="Tell what this host can and cannot do, and mend what a crash left",
    description="Judges everything pypod needs of this host and lists what a crash left in the storage.\n"
    "  The exit code is 0 when this user can run pods here, otherwise 1.",
    synopsis="[options]",
    flags=(Flag(name="repair", kind="bool", help="Remove what a crash left behind"),),
    examples=("pypod system check", "pypod system check --repair"),
    max_args=0,
)
MIGRATE = Command(
    path="pypod system migrate",
    summary="Stop all containers and have new ones get the ids of today",
    description="Ends the user's session: after a change of /etc/subuid or /etc/subgid, the next start makes a new one "
    "with\n  the ids that are right then. All running containers are stopped. Root has no session.",
    synopsis="[options]",
    examples=("pypod system migrate",),
    max_args=0,
)
# Without one of these no pod starts with the defaults; without the others something else does not work.
_NEEDED = frozenset(
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
# A user has the capabilities in a namespace of theirs, which the session shows, and does without groups.
_NEEDED_BY_USERS = frozenset({name for name in _NEEDED if not name.startswith("cap-")} - {"cgroups"})
_TRIED = ("cap-", "unprivileged-user-namespaces")


def run_version(options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod version``."""
    from pypod.cli.system.info import Facts, version_facts

    client = version_facts()
    text = options["format"]
    if text:
        return _write_format(text, Facts(Client=client), {**client, "Client": client, "Server": client}, "version", "")
    from pypod.cli.render.output import align

    titles = (
        ("Client", "Pypod Engine"),
        ("Version", client["Version"]),
        ("API Version", client["APIVersion"]),
        ("Python Version", client["PythonVersion"]),
        ("OS/Arch", client["OsArch"]),
    )
    sys.stdout.write(align("".join([f"{title}:\t{value}\n" for title, value in titles])))
    return 0


def run_info(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod info``."""
    from pypod.api.engine import Engine
    from pypod.cli.system.info import information, yaml

    with Engine(root) as engine:
        facts = information(engine)
    if options["format"]:
        return _write_format(options["format"], facts, facts, "info", "  ")
    sys.stdout.write(yaml(facts))
    return 0


def _write_format(text: str, listed: dict[str, object], fields: dict[str, object], name: str, indent: str) -> int:
    """Write ``listed`` as JSON, or what a template makes of ``fields``."""
    from pypod.cli.go.values import Struct
    from pypod.cli.render.output import compile_format, is_json

    if is_json(text):
        from pypod.cli.go.json import encode

        sys.stdout.write(encode(listed, indent=indent) + "\n")
        return 0
    _, template = compile_format(text, name=name, each=False)
    sys.stdout.write(template.render(fields if isinstance(fields, Struct) else Struct(fields)))
    return 0


def run_check(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod system check``."""
    from pypod.cli.render.output import Column, write_table

    judged = _judge()
    leftovers, storage = _storage(root, repair=options["repair"])
    rows = [*judged, *storage]
    columns = (
        Column(key="verdict", title="CHECK"),
        Column(key="name", title="NAME"),
        Column(key="text", title="REASON"),
    )
    write_table(
        [{"verdict": "ok" if ok else "missing", "name": name, "text": text} for name, ok, text in rows],
        columns,
        stream=sys.stdout,
    )
    needed = _NEEDED if os.geteuid() == 0 else _NEEDED_BY_USERS
    broken = [name for name, ok, _ in rows if not ok and name in needed]
    sys.stdout.write("\n".join(("", *leftovers, _conclusion(broken), "")))
    return 1 if broken else 0


def run_migrate(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod system migrate``."""
    from pypod.api.engine import Engine
    from pypod.engine.networks import user_bridges

    del options
    with Engine(root) as engine:
        if engine.rootless:
            for container in engine.containers.list():
                sys.stdout.write(f"stopped {container.id}\n")
                container.stop()
            for pod in engine.pods.list():
                pod.stop()
            user_bridges.end_session(engine)
    return 0


def _conclusion(broken: list[str]) -> str:
    if not broken:
        return "Pods can run here as this user."
    return f"Pods cannot run here as this user: {', '.join(broken)}"


def _judge() -> list[tuple[str, bool, str]]:
    """Return (name, fine, reason and consequence) of everything that is asked of the host."""
    from pypod.errors import Unsupported
    from pypod.kernel.host.checks import check
    from pypod.kernel.host.facts import Host
    from pypod.runtime.programs import path

    host = Host()
    rows = [("user", True, "root" if host.uid == 0 else f"uid {host.uid}"), *_ids(host)]
    try:
        programs = [path(name) for name in ("pause", "launch", "monitor", "init", "discard", "unpack")]
        rows.append(("programs", True, programs[0].rpartition("/")[0]))
    except Unsupported as error:
        rows.append(("programs", False, str(error)))
    for one in check(host):
        if host.uid != 0 and one.name == "cgroups":
            rows.append(_groups(host))
        elif host.uid == 0 or not one.name.startswith(_TRIED):
            rows.append((one.name, one.ok, one.reason if one.ok else f"{one.reason}: {one.consequence}"))
    return rows if host.uid == 0 else [*rows, _network()]


def _groups(host: Host) -> tuple[str, bool, str]:
    """Return the judgement of the cgroups of a user."""
    from pypod.kernel.cgroups.none import HINT
    from pypod.kernel.cgroups.scope import user_bus, why_not

    why = why_not(host.cgroups, host.uid, user_bus(host.uid))
    return "cgroups", not why, f"{why}: {HINT}" if why else "a scope that the user's systemd delegates"


def _network() -> tuple[str, bool, str]:
    """Return the judgement of the network that a user's pods have by default."""
    from pypod.engine.networks import options, user_network

    missing = options.notice()
    return "network", not missing, missing or os.environ.get(options.DEFAULT_VARIABLE) or user_network.default()


def _ids(host: Host) -> list[tuple[str, bool, str]]:
    """Return the judgement of the ids that a user may give to users of containers."""
    from pypod.engine.session.subordinate_ids import notice, wanted_maps
    from pypod.kernel.idmap import count_from_zero

    if host.uid == 0:
        return []
    missing = notice()
    counts = [count_from_zero(ranges) for ranges in wanted_maps()]
    return [
        ("subordinate-ids", not missing, missing or f"{counts[0]} user ids and {counts[1]} group ids in a container")
    ]


def _storage(root: str | None, *, repair: bool) -> tuple[list[str], list[tuple[str, bool, str]]]:
    """Return lines on what a crash left (and what was done about it), and the judgements of the storage."""
    from pypod.api.engine import Engine
    from pypod.engine.containers import collect
    from pypod.engine.core import lost_records
    from pypod.engine.images.removal import leftovers
    from pypod.engine.networks import name_service, network_repair
    from pypod.engine.storage import trash
    from pypod.store import records

    lines: list[str] = []
    try:
        with Engine(root) as engine:
            lines += map(str, lost_records.lost_at_most(engine))
            if repair:
                lines = collect.repair(engine) or ["nothing to repair"]
            counts = len(records.all_pods(engine.database)), len(records.all_containers(engine.database))
            if not repair:
                left = (*collect.orphans(engine), *leftovers(engine), *trash.left_behind(engine))
                lines += [f"left behind: {path}" for path in (*left, *name_service.left_behind(engine))]
                lines += [f"amiss: {words}" for words in network_repair.amiss(engine)]
                lines += ["pypod system check --repair mends it"] if lines else []
            rows = _tried(engine)
            verdict = ("storage", True, f"{engine.layout.root}: {counts[0]} pods, {counts[1]} containers")
            return [*lines, ""] if lines else [], [*rows, verdict]
    except PypodError as error:
        return [*lines, ""] if lines else [], [("storage", False, str(error))]


def _tried(engine: Engine) -> list[tuple[str, bool, str]]:
    """Return the judgements of what shows only when it is tried: a user's session, and what makes root file systems.

    Both anew, since something may have been installed. A user without a session gets none for that, as nothing else
    does: a session is made that nobody learns of, and what makes roots is tried by the first start.
    """
    from pypod.engine.session import session
    from pypod.engine.storage import drivers

    own = session.of(engine)
    is_there = own is None or own.holder is not None or engine.inside
    rows = []
    try:
        if not is_there:
            session.probe(engine)
        if own is not None:
            rows.append(("session", True, "a user namespace of yours " + ("is there" if is_there else "can be made")))
        if is_there:
            drivers.forget(engine)
        driver = drivers.of(engine) if is_there else drivers.expected(engine)
    except PypodError as error:
        return [*rows, ("storage-driver" if rows or own is None else "session", False, str(error))]
    why = f", since not {driver.reason}" if driver.reason else ""
    later = "" if is_there or drivers.is_tried(engine, driver) else ", if the first start finds that it works"
    return [*rows, ("storage-driver", True, f"{driver}{why}{later}")]
