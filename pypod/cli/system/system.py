"""version, info and system check."""

from __future__ import annotations

import sys

from pypod.cli.flags.parser import Command, Flag
from pypod.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed

_FORMAT = Flag(name="format", short="f", help="Change the output format to JSON or a Go template")
INFO = Command(
    path="pypod info",
    summary="Display pypod system information",
    description="Display information pertaining to the host, current storage stats, and version of pypod.",
    synopsis="[options]",
    flags=(_FORMAT, Flag(name="debug", short="D", kind="bool", hidden=True)),
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
    summary="Report what this host supports, and repair what a crash left behind",
    description="Checks the requirements of pypod on this host and lists what a crash left behind in the storage.\n"
    "  The exit code is 0 if this user can run pods here, otherwise 1.",
    synopsis="[options]",
    flags=(
        Flag(name="force", short="f", kind="bool", help="Accepted for compatibility with podman; has no effect"),
        Flag(name="max", short="m", help="Accepted for compatibility with podman; has no effect", metavar="duration"),
        Flag(name="quick", short="q", kind="bool", help="Accepted for compatibility with podman; has no effect"),
        Flag(name="repair", short="r", kind="bool", help="Remove what a crash left behind"),
    ),
    examples=("pypod system check", "pypod system check --repair"),
    max_args=0,
)
BOOT = Command(
    path="pypod system boot",
    summary="Start the containers that their restart policy wants to run",
    description="Starts the containers with the restart policy always, and those with unless-stopped that nobody has\n"
    "  stopped, if they do not run: after the machine has booted, or after a crash.",
    synopsis="",
    flags=(),
    examples=("pypod system boot",),
    max_args=0,
)
MIGRATE = Command(
    path="pypod system migrate",
    summary="Stop all containers so that new ones use the current subordinate IDs",
    description="Ends the user's session: after a change of /etc/subuid or /etc/subgid, the next start creates a new "
    "session\n  with the IDs that are valid then. All running containers are stopped. Root has no session.",
    synopsis="[options]",
    flags=(Flag(name="new-runtime", help="Specify a new runtime for all containers"),),
    examples=("pypod system migrate",),
    max_args=0,
)


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
        ("Built", client["BuiltTime"]),
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
    """Write ``listed`` as JSON, or ``fields`` through a template."""
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
    from pypod import check
    from pypod.cli.render.output import Column, write_table

    report = check(root, repair=options["repair"])
    columns = (
        Column(key="verdict", title="CHECK"),
        Column(key="name", title="NAME"),
        Column(key="text", title="REASON"),
    )
    rows = [{"verdict": "ok" if one.ok else "missing", "name": one.name, "text": one.text} for one in report.findings]
    write_table(rows, columns, stream=sys.stdout)
    leftovers = [*report.leftovers, ""] if report.leftovers else []
    conclusion = "Pods can run here as this user."
    if not report.usable:
        conclusion = f"Pods cannot run here as this user: {', '.join(report.missing)}"
    sys.stdout.write("\n".join(("", *leftovers, conclusion, "")))
    return 0 if report.usable else 1


def run_boot(_options: Parsed, root: str | None) -> int:
    """Carry out ``pypod system boot``."""
    from pypod.api.engine import Engine
    from pypod.cli.flags import selection
    from pypod.cli.render.plain_text import warn

    with Engine(root, warn=warn) as engine:
        return selection.each(engine.containers.wanted(), [], lambda one: one.start(), lambda one: one.name)


def run_migrate(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod system migrate``."""
    from pypod.api.engine import Engine

    if options["new-runtime"]:
        raise Unsupported("--new-runtime", "containers cannot be moved to another runtime: pypod has its own only")
    with Engine(root) as engine:
        if engine.rootless:
            for container in engine.containers.list():
                sys.stdout.write(f"stopped {container.id}\n")
                container.stop()
            for pod in engine.pods.list():
                pod.stop()
            engine.end_session()
    return 0
