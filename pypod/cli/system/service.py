"""image scp, system service, connection and renumber: what podman has for other machines, its service and its locks."""

from __future__ import annotations

import sys

from pypod.cli.flags.parser import Command, Flag
from pypod.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed

_CONNECTION_HEADERS = {name: name for name in ("Name", "URI", "Identity", "Default")}
_HINT = "run pypod where its containers are, or use the library in a Python program"
IMAGE_SCP = Command(
    path="pypod image scp",
    summary="securely copy images",
    description="Not available: pypod does not log in to other machines. Images travel as archives.",
    synopsis="[options] IMAGE [HOST::]",
    flags=(Flag(name="quiet", short="q", kind="bool", help="Suppress the output"),),
    examples=("pypod save alpine | ssh HOST pypod load",),
    min_args=1,
    max_args=2,
)
SYSTEM_SERVICE = Command(
    path="pypod system service",
    summary="Run API service",
    description="Not available: pypod has no API service.",
    synopsis="[options] [URI]",
    flags=(
        Flag(name="cors", help="Set CORS Headers"),
        Flag(
            name="time",
            short="t",
            kind="uint",
            default=5,
            help="Time until the service session expires in seconds.  Use 0 to disable the timeout",
        ),
    ),
    max_args=1,
)
SYSTEM_CONNECTION = Command(
    path="pypod system connection",
    summary="Manage remote API service destinations",
    description="Not available: pypod has no remote client.",
    synopsis="COMMAND [ARG...]",
    interspersed=False,
)
CONNECTION_LIST = Command(
    path="pypod system connection list",
    summary="List destination for the Podman service(s)",
    description="Lists no connection: pypod has no remote client.",
    synopsis="[options]",
    flags=(
        Flag(name="format", short="f", help="Custom Go template for printing connections"),
        Flag(name="quiet", short="q", kind="bool", help="Print only the names of connections"),
    ),
    aliases=("ls",),
    examples=("pypod system connection list", "pypod system connection ls --format=json"),
    max_args=0,
)
SYSTEM_RENUMBER = Command(
    path="pypod system renumber",
    summary="Migrate lock numbers",
    description="Does nothing: the locks of pypod are files without numbers, and their number is not limited.",
    examples=("pypod system renumber",),
    max_args=0,
)


def run_image_scp(options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod image scp``. Raises Unsupported."""
    name = options.positionals[0].rpartition("::")[2] or "IMAGE"
    hint = f"pypod save {name} | ssh HOST pypod load"
    raise Unsupported("image scp", "pypod does not copy images to or from other machines", hint=hint)


def run_system_service(_options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod system service``. Raises Unsupported."""
    raise Unsupported("system service", "pypod has no API service", hint=_HINT)


def run_system_connection(_options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod system connection``. Raises Unsupported."""
    raise Unsupported("system connection", "pypod has no remote client and no connections", hint=_HINT)


def run_connection_list(options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod system connection list``."""
    from pypod.cli.render.output import Column, is_json, write_format, write_table

    text = options["format"]
    if text and is_json(text):
        sys.stdout.write("[]\n")
    elif text:
        write_format(text, (), name="list", headers=_CONNECTION_HEADERS, stream=sys.stdout)
    elif not options["quiet"]:
        columns = [Column(key=key, title=title) for key, title in _CONNECTION_HEADERS.items()]
        write_table((), columns, stream=sys.stdout)
    return 0


def run_system_renumber(_options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod system renumber``."""
    return 0
