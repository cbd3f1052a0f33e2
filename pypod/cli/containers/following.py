"""Follow a container that was just started."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from pypod import Container, LogReader
    from pypod.cli.flags.parser import Parsed


OUTPUTS = ("stdout", "stderr")


def attached_streams(options: Parsed) -> frozenset[str]:
    """Return the streams that --attach names, all of them without it. Raises InvalidSpec."""
    streams = [word.lower() for word in options["attach"]]
    for stream in streams:
        if stream not in ("stdin", *OUTPUTS):
            from pypod.cli.go.strconv import quote
            from pypod.errors import InvalidSpec

            known = "must be one of stdin, stdout, or stderr"
            raise InvalidSpec("--attach", f"invalid stream {quote(stream)} for --attach - {known}: invalid argument")
    return frozenset(streams or OUTPUTS)


def warn_without_terminal(options: Parsed) -> None:
    """Warn, like podman, when -it is used and our standard input is not a terminal."""
    if options["tty"] and options["interactive"] and not sys.stdin.isatty():
        from pypod.cli.render.plain_text import warn

        warn("The input device is not a TTY. The --tty and --interactive flags might not work properly")


def follow(
    container: Container,
    options: Parsed,
    keys: bytes,
    log: LogReader,
    *,
    stdin: bool,
    streams: Collection[str] = OUTPUTS,
    announced: bool = True,
) -> int:
    """Follow a container that was just started; return its exit code, or 0 when the user detached.

    Output is shown from the position of ``log`` on, that of ``streams``. ``announced``: its start said that we attach.
    """
    from pypod.cli.render.streaming import follow_container
    from pypod.errors import WrongState

    spec = container.spec()
    try:
        attachment = container.attach(announced=announced)
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
        streams=streams,
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
