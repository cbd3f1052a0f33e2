"""system connection: the services that containers.conf names for podman's remote client."""

from __future__ import annotations

import sys

from pypod.cli.flags.nested import refuse_group
from pypod.cli.flags.parser import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed
    from pypod.cli.go.values import Struct
    from pypod.model.destination import Destination

_HEADERS = {name: name for name in ("Name", "URI", "Identity", "Default")}
_NOTE = "pypod itself connects to no service: these are for podman's remote client, which reads the same files."
SYSTEM_CONNECTION = Command(
    path="pypod system connection",
    summary="Manage remote API service destinations",
    description=f"Manage remote API service destination information in podman configuration.\n\n  {_NOTE}",
    commands=(
        ("add", "Record destination for the Podman service"),
        ("default", "Set named destination as default"),
        ("list", "List destination for the Podman service(s)"),
        ("remove", "Delete named destination"),
        ("rename", 'Rename "old" to "new"'),
    ),
)
CONNECTION_ADD = Command(
    path="pypod system connection add",
    summary="Record destination for the Podman service",
    description="Add destination to podman configuration.\n\n"
    '  "destination" is one of the form:\n'
    "    [user@]hostname (will default to ssh)\n"
    "    ssh://[user@]hostname[:port][/path] (the path is that of the socket)\n"
    "    unix://path (absolute path required)\n"
    "    tcp://hostname:port (not secured)",
    synopsis="[options] NAME DESTINATION",
    flags=(
        Flag(name="default", short="d", kind="bool", help="Set connection to be default"),
        Flag(name="identity", help="path to SSH identity file"),
        Flag(name="port", short="p", kind="int", default=22, help="SSH port number for destination"),
        Flag(name="socket-path", help="path to podman socket on remote host; a path in DESTINATION does the same"),
    ),
    examples=(
        "pypod system connection add laptop ssh://me@laptop.example/run/user/1000/podman/podman.sock",
        "pypod system connection add debug tcp://localhost:8080",
    ),
    min_args=2,
    max_args=2,
)
CONNECTION_DEFAULT = Command(
    path="pypod system connection default",
    summary="Set named destination as default",
    description="Set named destination as default for the Podman service",
    synopsis="NAME",
    examples=("pypod system connection default testing",),
    min_args=1,
    max_args=1,
)
CONNECTION_LIST = Command(
    path="pypod system connection list",
    summary="List destination for the Podman service(s)",
    description="List destination information for the Podman service(s) in podman configuration",
    synopsis="[options]",
    flags=(
        Flag(name="format", short="f", help="Custom Go template for printing connections"),
        Flag(name="quiet", short="q", kind="bool", help="Print only the names of connections"),
    ),
    aliases=("ls",),
    examples=("pypod system connection list", "pypod system connection ls --format=json"),
    max_args=0,
)
CONNECTION_REMOVE = Command(
    path="pypod system connection remove",
    summary="Delete named destination",
    description="Delete named destination from podman configuration",
    synopsis="[options] NAME",
    flags=(Flag(name="all", short="a", kind="bool", help="Remove all connections"),),
    aliases=("rm",),
    examples=("pypod system connection remove devl", "pypod system connection rm --all"),
    max_args=1,
)
CONNECTION_RENAME = Command(
    path="pypod system connection rename",
    summary='Rename "old" to "new"',
    description="Rename destination for the Podman service in podman configuration",
    synopsis="OLD NEW",
    aliases=("mv",),
    examples=("pypod system connection rename laptop devl",),
    min_args=2,
    max_args=2,
)


def run_system_connection(options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod system connection`` without a command of its own."""
    refuse_group(options)


def run_connection_add(options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod system connection add``."""
    from pypod.api import configuration
    from pypod.cli.render.plain_text import warn

    name, destination = options.positionals
    warning = configuration.add_destination(
        name,
        destination,
        identity=options["identity"],
        port=options["port"] if options.changed("port") else None,
        socket_path=options["socket-path"],
        default=options["default"],
    )
    if warning:
        warn(warning)
    return 0


def run_connection_default(options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod system connection default``."""
    from pypod.api.configuration import make_default_destination

    make_default_destination(options.positionals[0])
    return 0


def run_connection_list(options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod system connection list``."""
    from pypod.api.configuration import destinations
    from pypod.cli.render.output import Column, is_json, write_format, write_table

    found, text = destinations(), options["format"]
    if text and is_json(text):
        from pypod.cli.go.json import encode

        sys.stdout.write(encode([_struct(one) for one in found], indent="    ") + "\n")
    elif text:
        write_format(text, [_struct(one) for one in found], name="list", headers=_HEADERS, stream=sys.stdout)
    elif options["quiet"]:
        sys.stdout.writelines(f"{one.name}\n" for one in found)
    else:
        columns = [Column(key=key, title=title) for key, title in _HEADERS.items()]
        write_table([_struct(one) for one in found], columns, stream=sys.stdout)
    return 0


def run_connection_remove(options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod system connection remove``."""
    from pypod.api import configuration
    from pypod.cli.flags.parser import UsageError

    if options["all"]:
        configuration.remove_all_destinations()
    elif not options.positionals:
        raise UsageError(options.command.path, "accepts 1 arg(s), received 0")
    else:
        configuration.remove_destination(options.positionals[0])
    return 0


def run_connection_rename(options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod system connection rename``."""
    from pypod.api.configuration import rename_destination

    rename_destination(*options.positionals)
    return 0


def _struct(one: Destination) -> Struct:
    from pypod.cli.go.values import Struct

    return Struct(
        {
            "Name": one.name,
            "URI": one.uri,
            "Identity": one.identity,
            "IsMachine": False,  # podman's word for a virtual machine of its own
            "Default": one.default,
        }
    )
