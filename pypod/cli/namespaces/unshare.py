"""unshare: run a command as root of the user's own user namespace."""

from __future__ import annotations

import os

from pypod.cli.flags.parser import Command, Flag
from pypod.cli.system import notes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.api.types import Invocation
    from pypod.cli.flags.parser import Parsed

UNSHARE = Command(
    path="pypod unshare",
    summary="Run a command inside of a modified user namespace",
    description="Runs a command, by default $SHELL, in a user namespace where files owned by users of your containers\n"
    "  are accessible: you are root there, and the IDs from /etc/subuid and /etc/subgid are mapped from 1 on.",
    synopsis="[options] [COMMAND [ARG...]]",
    flags=(
        Flag(
            name="rootless-netns",
            kind="bool",
            help="Join the network namespace of your bridge networks, where their containers can be reached",
        ),
    ),
    examples=("pypod unshare cat /proc/self/uid_map", "pypod unshare rm -rf ~/volume"),
    interspersed=False,
)


def run_unshare(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod unshare``: replace this process by the command, unless something is to be done after it."""
    from pypod.api.engine import Engine

    with Engine(root) as engine:
        before = notes.session_of(root)
        words = options.positionals or [os.environ.get("SHELL", "/bin/sh")]
        command = engine.unshare(words, rootless_netns=options["rootless-netns"])
        notes.tell_of_new(root, before)
        if not options["rootless-netns"]:
            engine.close()
            os.execve(command.program, command.arguments, dict(command.environment))  # noqa: S606
        code = _waited_for(command)
        engine.end_idle_networks()
        return code


def _waited_for(command: Invocation) -> int:
    """Run a command to its end; return its exit code, as a shell would."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from the terminal: it is for the command
    environment = dict(command.environment)
    pid = os.posix_spawn(command.program, command.arguments, environment, setsigdef=(signal.SIGINT,))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code
