"""exec."""

from __future__ import annotations

from pypod.cli.flags.objects import EXPLAIN, LATEST
from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.cli.render.terminal import DEFAULT_DETACH_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.api.container import Container
    from pypod.api.engine import Engine
    from pypod.cli.flags.parser import Parsed

EXEC = Command(
    path="pypod exec",
    summary="Run a process in a running container",
    synopsis="[options] CONTAINER COMMAND [ARG...]",
    flags=(
        EXPLAIN,
        LATEST,
        Flag(name="detach", short="d", kind="bool", help="Run the exec session in detached mode (backgrounded)"),
        Flag(name="detach-keys", default=DEFAULT_DETACH_KEYS, help="Select the key sequence for detaching a container"),
        Flag(name="env", short="e", kind="stringArray", help="Set environment variables"),
        Flag(name="env-file", kind="stringArray", help="Read in a file of environment variables"),
        Flag(name="interactive", short="i", kind="bool", help="Keep STDIN open even if not attached"),
        Flag(name="privileged", kind="bool", help="Give the process extended Linux capabilities inside the container"),
        Flag(name="tty", short="t", kind="bool", help="Allocate a pseudo-TTY"),
        Flag(name="user", short="u", help="Sets the username or UID used and optionally the groupname or GID"),
        Flag(name="workdir", short="w", help="Working directory inside the container"),
    ),
    examples=("pypod exec -it ctrID ls", "pypod exec -it -w /tmp myCtr pwd", "pypod exec --user root ctrID ls"),
    interspersed=False,
)


def run_exec(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod exec``."""
    from pypod.api.engine import Engine
    from pypod.cli.containers.following import warn_without_terminal
    from pypod.cli.flags.text_files import environment
    from pypod.cli.render.streaming import follow_command
    from pypod.cli.render.terminal import parse_detach_keys

    keys = parse_detach_keys(options["detach-keys"])
    warn_without_terminal(options)
    with Engine(root) as engine:
        container, command = _target(engine, options)
        asked: dict[str, Any] = {
            "environment": environment(options["env"], options["env-file"]),
            "user": options["user"],
            "working_directory": options["workdir"],
            "privileged": options["privileged"],
        }
        terminal, interactive = options["tty"], options["interactive"]
        if options["explain"]:
            print(container.explain_exec(command, terminal=terminal and not options["detach"], **asked))
            return 0
        if options["detach"]:
            from pypod.model.ids import new_id

            container.spawn(command, **asked)
            print(new_id())
            return 0
        process = container.popen(command, stdin=interactive and not terminal, terminal=terminal, **asked)
        code = follow_command(process, stdin=interactive, detach_keys=keys)
        return 0 if code is None else code


def _target(engine: Engine, options: Parsed) -> tuple[Container, list[str]]:
    from pypod.cli.flags.selection import latest

    words = list(options.positionals)
    if options["latest"]:
        container = latest(engine)
    elif words:
        container = engine.containers.get(words.pop(0))
    else:
        raise UsageError("", "exec requires the name or ID of a container or the --latest flag")
    if not words:
        raise UsageError("", "must provide a non-empty command to start an exec session: invalid argument")
    return container, words
