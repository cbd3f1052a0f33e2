"""version, info and system check."""

from __future__ import annotations

import sys

from pypod.cli.flags import Command, Flag
from pypod.errors import PypodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags import Parsed

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
# Without one of these no pod starts with the defaults; without the others something else does not work.
_NEEDED = frozenset(
    (
        "cap-setgid",
        "cap-setpcap",
        "cap-setuid",
        "cap-sys-admin",
        "cap-sys-chroot",
        "cgroups",
        "mount-api",
        "namespace-ipc",
        "namespace-mnt",
        "namespace-net",
        "namespace-pid",
        "namespace-uts",
        "openat2",
        "overlay",
        "pidfd",
        "programs",
        "seccomp",
        "storage",
        "user",
    )
)


def run_version(options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod version``."""
    from pypod.cli.info import Facts, version_facts

    client = version_facts()
    text = options["format"]
    if text:
        return _write_format(text, Facts(Client=client), {**client, "Client": client, "Server": client}, "version", "")
    from pypod.cli.output import align

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
    from pypod.cli.info import information, yaml
    from pypod.engine.engine import Engine

    with Engine(root) as engine:
        facts = information(engine)
    if options["format"]:
        return _write_format(options["format"], facts, facts, "info", "  ")
    sys.stdout.write(yaml(facts))
    return 0


def _write_format(text: str, listed: dict[str, object], fields: dict[str, object], name: str, indent: str) -> int:
    """Write ``listed`` as JSON, or what a template makes of ``fields``."""
    from pypod.cli.go.template import Struct
    from pypod.cli.output import compile_format, is_json

    if is_json(text):
        from pypod.cli.go.json import encode

        sys.stdout.write(encode(listed, indent=indent) + "\n")
        return 0
    _, template = compile_format(text, name=name, each=False)
    sys.stdout.write(template.render(fields if isinstance(fields, Struct) else Struct(fields)))
    return 0


def run_check(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod system check``."""
    from pypod.cli.output import Column, write_table

    judged = _judge()
    leftovers, storage = _storage(root, repair=options["repair"])
    rows = [*judged, storage]
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
    broken = [name for name, ok, _ in rows if not ok and name in _NEEDED]
    sys.stdout.write("\n".join(("", *leftovers, _conclusion(broken), "")))
    return 1 if broken else 0


def _conclusion(broken: list[str]) -> str:
    if not broken:
        return "Pods can run here as this user."
    return f"Pods cannot run here as this user: {', '.join(broken)}"


def _judge() -> list[tuple[str, bool, str]]:
    """Return (name, fine, reason and consequence) of everything that is asked of the host."""
    from pypod.errors import Unsupported
    from pypod.kernel.host import Host, check
    from pypod.runtime.programs import path

    host = Host()
    rows = [("user", True, "root")]
    if host.uid != 0:
        rows = [("user", False, f"uid {host.uid}: rootless pods are not available yet: use sudo")]
    try:
        programs = [path(name) for name in ("pause", "launch", "monitor", "init", "discard", "unpack")]
        rows.append(("programs", True, programs[0].rpartition("/")[0]))
    except Unsupported as error:
        rows.append(("programs", False, str(error)))
    for one in check(host):
        rows.append((one.name, one.ok, one.reason if one.ok else f"{one.reason}: {one.consequence}"))
    return rows


def _storage(root: str | None, *, repair: bool) -> tuple[list[str], tuple[str, bool, str]]:
    """Return lines on what a crash left (and what was done about it), and the judgement of the storage."""
    from pypod.engine import collect
    from pypod.engine.engine import Engine
    from pypod.engine.image_removal import leftovers
    from pypod.store import records

    try:
        with Engine(root) as engine:
            counts = len(records.all_pods(engine.database)), len(records.all_containers(engine.database))
            lines = [
                f"left behind: {path}"
                for path in (*collect.orphans(engine), *leftovers(engine), *collect.trash(engine))
            ]
            if repair:
                lines = collect.repair(engine) or ["nothing to repair"]
            elif lines:
                lines.append("pypod system check --repair removes it")
            verdict = ("storage", True, f"{engine.layout.root}: {counts[0]} pods, {counts[1]} containers")
            return [*lines, ""] if lines else [], verdict
    except PypodError as error:
        return [], ("storage", False, str(error))
