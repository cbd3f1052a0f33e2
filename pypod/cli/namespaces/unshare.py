"""unshare: run a command as root of the user's own user namespace."""

from __future__ import annotations

import os

from pypod.cli.flags.parser import Command
from pypod.cli.system import notes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed

UNSHARE = Command(
    path="pypod unshare",
    summary="Run a command inside of a modified user namespace",
    description="Runs a command, by default $SHELL, in a user namespace where files owned by users of your containers\n"
    "  are accessible: you are root there, and the IDs from /etc/subuid and /etc/subgid are mapped from 1 on.",
    synopsis="[options] [COMMAND [ARG...]]",
    examples=("pypod unshare cat /proc/self/uid_map", "pypod unshare rm -rf ~/volume"),
    interspersed=False,
)


def run_unshare(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod unshare``: replace this process by the command."""
    from pypod.api.engine import Engine

    with Engine(root) as engine:
        before = notes.session_of(root)
        command = engine.unshare(options.positionals or [os.environ.get("SHELL", "/bin/sh")])
        notes.tell_of_new(root, before)
    os.execve(command.program, command.arguments, dict(command.environment))  # noqa: S606
