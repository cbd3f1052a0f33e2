"""Follow a container that was just started."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod import Container, LogReader
    from pypod.cli.flags.parser import Parsed


def warn_without_terminal(options: Parsed) -> None:
    """Warn, like podman, when -it is used and our standard input is not a terminal."""
    if options["tty"] and options["interactive"] and not sys.stdin.isatty():
        print(
            "WARN: The input device is not a TTY. The --tty and --interactive flags might not work properly",
            file=sys.stderr,
        )


def follow(container: Container, options: Parsed, keys: bytes, log: LogReader, *, stdin: bool) -> int:
    """Follow a container that was just started; return its exit code, or 0 when the user detached.

    Output is shown from the position of ``log`` on.
    """
    from pypod.cli.render.streaming import follow_container
    from pypod.errors import WrongState

    spec = container.spec()
    try:
        attachment = container.attach()
    except WrongState:
        attachment = None  # the container has already ended
    detached = follow_container(
        container,
        attachment,
        log,
        stdin=stdin,
        terminal=spec.terminal,
        detach_keys=keys,
        sig_proxy=options["sig-proxy"],
    )
    if detached:
        return 0
    code = container.wait()
    if spec.remove:
        container.remove(force=True)
    if code is None:
        print(f"Error: the exit code of container {container.name} is unknown: its monitor was killed", file=sys.stderr)
        return 125
    return code
