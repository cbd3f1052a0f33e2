"""image scp, system service and renumber: what podman has for other machines, its service and its locks."""

from __future__ import annotations

from pypod.cli.flags.parser import Command, Flag
from pypod.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed

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


def run_system_renumber(_options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod system renumber``."""
    return 0
