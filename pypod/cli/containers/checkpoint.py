"""container checkpoint and restore: not available; they say so, whatever flags they are given."""

from __future__ import annotations

from pypod.cli.flags.parser import Command, Flag
from pypod.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed

_WHY = "Not available: the processes of a container cannot be written to disk (pypod does not use CRIU)."
_WORDS = "Accepted for compatibility with podman"


def _flags(switches: str, values: str) -> tuple[Flag, ...]:
    """Return podman's flags, each name perhaps with its letter (``keep/k``): so that none is called unknown."""
    return tuple(
        Flag(name=name, short=short, kind=kind, hidden=True, help=_WORDS)
        for kind, words in (("bool", switches), ("strings", values))
        for name, _, short in (word.partition("/") for word in words.split())
    )


_BOTH = "all/a file-locks ignore-rootfs ignore-volumes keep/k latest/l print-stats tcp-established"
CHECKPOINT = Command(
    path="pypod container checkpoint",
    summary="Checkpoints one or more containers",
    description=_WHY,
    synopsis="CONTAINER [CONTAINER...]",
    flags=_flags(f"{_BOTH} leave-running/R pre-checkpoint/P with-previous", "compress/c create-image export/e"),
)
RESTORE = Command(
    path="pypod container restore",
    summary="Restores one or more containers from a checkpoint",
    description=_WHY,
    synopsis="CONTAINER|IMAGE [CONTAINER|IMAGE...]",
    flags=_flags(f"{_BOTH} ignore-static-ip ignore-static-mac", "import/i import-previous name/n pod publish/p"),
)


def run_checkpoint(_options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod container checkpoint``. Raises Unsupported."""
    hint = "pypod pause stops the processes where they are; pypod commit keeps the files"
    raise Unsupported("checkpoint", "checkpoints of containers are not available", hint=hint)


def run_restore(_options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod container restore``. Raises Unsupported."""
    hint = "pypod create makes a container from an image, and pypod import an image from its files"
    raise Unsupported("restore", "checkpoints of containers are not available", hint=hint)
