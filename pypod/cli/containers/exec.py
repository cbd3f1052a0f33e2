"""exec."""

from __future__ import annotations

from pypod.cli.flags import selection
from pypod.cli.flags.objects import EXPLAIN, LATEST, PRESERVE
from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.cli.render.terminal import DEFAULT_DETACH_KEYS
from pypod.errors import InvalidSpec, LaunchFailed, NoSuchUser, PypodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.api.container import Container
    from pypod.api.engine import Engine
    from pypod.cli.flags.parser import Parsed

_NOT_TRIED = 255
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
        *PRESERVE,
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
    from pypod.cli.render.terminal import detach_keys

    passed = {}
    if options["preserve-fds"] or options["preserve-fd"]:
        from pypod.cli.flags.descriptors import preserved

        passed = preserved(options)
    keys = detach_keys(options, is_terminal=options["tty"])
    with Engine(root) as engine:
        container, command = _target(engine, options)
        asked: dict[str, Any] = {
            "environment": _environment(options),
            "user": options["user"],
            "working_directory": options["workdir"],
            "privileged": options["privileged"],
        }
        if options["explain"]:
            terminal = options["tty"] and not options["detach"]
            print(container.explain_exec(command, terminal=terminal, **asked))
            return 0
        try:
            return _execute(container, command, options, {**asked, "pass_fds": passed}, keys)
        except PypodError as error:
            from pypod.cli.render.plain_text import tell_error

            tell_error(error)
            return _exit_code(error, detach=options["detach"])


def _execute(container: Container, command: list[str], options: Parsed, asked: dict[str, Any], keys: bytes) -> int:
    if not command:
        raise UsageError("", "must provide a non-empty command to start an exec session: invalid argument")
    if options["detach"]:
        print(container.spawn(command, **asked))
        return 0
    from pypod.cli.render.streaming import follow_command

    terminal, interactive = options["tty"], options["interactive"]
    process = container.popen(command, stdin=interactive and not terminal, terminal=terminal, **asked)
    code = follow_command(process, stdin=interactive, detach_keys=keys)
    return 0 if code is None else code


def _exit_code(error: PypodError, *, detach: bool) -> int:
    """Return podman's exit code for a command that was not started.

    Attached, 126 and 127 say that the program or its working directory could not be used, and -1 that the command could
    not be tried at all.
    """
    if detach:
        return selection.FAILED
    if isinstance(error, LaunchFailed) and not isinstance(error, NoSuchUser):
        return error.exit_code
    return _NOT_TRIED


def _environment(options: Parsed) -> dict[str, str]:
    from pypod.cli.flags.text_files import environment

    try:
        return environment(options["env"], options["env-file"])
    except InvalidSpec as error:
        if error.argument == "--env":
            error.message = f"parsing environment variables: {error.message}"
        raise


def _target(engine: Engine, options: Parsed) -> tuple[Container, list[str]]:
    words = list(options.positionals)
    if options["latest"]:
        container = selection.latest(engine)
    elif words:
        container = engine.containers.get(words.pop(0))
    else:
        raise UsageError("", "exec requires the name or ID of a container or the --latest flag")
    return container, words
