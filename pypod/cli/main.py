"""The command line: from words to a verb, and what becomes an exit code."""

from __future__ import annotations

import os
import sys

from pypod.cli.verbs import GROUPS, VERBS, load
from pypod.errors import LaunchFailed, PortInUse, PypodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TextIO

    from pypod.cli.flags.parser import Parsed
    from pypod.cli.verbs import Verb

ENGINE_FAILED = 125  # podman-run(1), "Exit Status"
INTERRUPTED = 130
_OBJECTS_BETWEEN_COLLECTIONS = 50_000
_HELP = ("-h", "--help", "help")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program with ``argv`` (default: of this process) and exit with its code."""
    import gc

    # a command is over before there is garbage in cycles worth looking for: the imports alone set it off 60 times
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    words = list(sys.argv[1:] if argv is None else argv)
    code = ENGINE_FAILED
    _occupy_standard_streams()
    try:
        code = run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader of our output has gone: say nothing more, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 128 + 13
    except KeyboardInterrupt:
        code = INTERRUPTED
    except OSError as error:  # of our own output: what the engine does raises errors of ours
        code = _tell(f"{error.filename or 'write /dev/stdout'}: {error.strerror}")
    os._exit(code)


def _tell(message: str) -> int:
    """Write an error to stderr, if that can be written; return the exit code."""
    try:
        sys.stderr.write(f"Error: {message}\n")
        sys.stderr.flush()
    except OSError:
        pass
    return ENGINE_FAILED


def _occupy_standard_streams() -> None:
    """Put /dev/null where a standard stream is closed: the next file to be opened would be taken for it."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    sys.stdout = _lines(sys.stdout, 1)
    sys.stderr = _lines(sys.stderr, 2)


def _lines(stream: TextIO | None, fd: int) -> TextIO:
    """Return a standard stream that writes whole lines, and to a terminal only what does not steer it.

    PYTHONUNBUFFERED makes a line and its end two writes, and between them is room for what other commands write to the
    same pipe or terminal.
    """
    terminal = os.isatty(fd)
    if stream is not None and not terminal and not getattr(stream, "write_through", False):
        return stream
    import io

    file = open(fd, "wb", closefd=False)  # noqa: SIM115
    encoding, errors = ("utf-8", "strict") if stream is None else (stream.encoding, stream.errors)
    if not terminal:
        return io.TextIOWrapper(file, encoding, errors, line_buffering=fd == 2)
    from pypod.cli.render.plain_text import TerminalStream

    return TerminalStream(file, encoding, errors, line_buffering=True)


def run(words: list[str]) -> int:
    """Run one command line; return its exit code. Errors are told on stderr, as podman tells them."""
    try:
        return _dispatch(words)
    except PypodError as error:
        from pypod.cli.render.plain_text import tell

        tell("\n".join([f"Error: {error}", *getattr(error, "__notes__", ())]))
        return error.exit_code if isinstance(error, LaunchFailed | PortInUse) else ENGINE_FAILED


def _dispatch(words: list[str]) -> int:
    from pypod.cli.flags.parser import Command, Flag, parse, usage

    top = Command(
        path="pypod",
        summary="Manage pods and containers, without a daemon",
        flags=(
            Flag(name="root", help="Directory in which everything is kept", metavar="string"),
            Flag(name="runroot", hidden=True, help="Accepted for podman's sake: there is one directory for everything"),
            Flag(name="version", short="v", kind="bool", help="Print the version"),
        ),
        commands=tuple((name, summary) for name, summary in _summaries()),
        interspersed=False,
    )
    parsed = parse(top, words)
    if parsed.help:
        print(usage(top), end="")
        return 0
    if parsed["version"]:
        from pypod import __version__

        print(f"pypod version {__version__}")
        return 0
    rest = list(parsed.positionals)
    if rest[:1] == ["help"] and len(rest) > 1:  # `help run` is `run --help`
        rest = [*rest[1:], "--help"]
    if not rest or rest[0] in _HELP:
        print(usage(top), end="")
        return 0
    found = _verb(rest)
    if found is None:
        return 0
    row, path = found
    command, function = load(row)
    command = command.replace(path=path)
    options = parse(command, rest)
    if options.help:
        print(usage(command), end="")
        return 0
    root = parsed["root"] or None
    return function(options, root) if os.geteuid() == 0 else _run_as_user(function, options, root)


def _verb(rest: list[str]) -> tuple[Verb, str] | None:
    """Take the words of a verb from those of a command line; return its row and how it is called.

    None when it was a group's help that was asked for, which is printed. Raises UsageError.
    """
    from pypod.cli.flags.parser import Command, UsageError, usage

    verbs, path = VERBS, "pypod"
    if rest[0] in GROUPS:
        summary, verbs = GROUPS[rest[0]]
        path = f"pypod {rest.pop(0)}"
        if not rest or rest[0] in _HELP:
            group = load(verbs[""])[0] if "" in verbs else Command(path=path, summary=summary)
            commands = tuple((name, row[2]) for name, row in sorted(verbs.items()) if name)
            if not rest:
                raise UsageError(path, f"missing command '{path} COMMAND'\nTry '{path} --help' for more information")
            print(usage(group.replace(commands=commands)), end="")
            return None
    name = rest.pop(0) if rest[0] in verbs or "" not in verbs else ""
    if name not in verbs:
        raise UsageError(path, f"unrecognized command `{path} {name}`\nTry '{path} --help' for more information")
    return verbs[name], f"{path} {name}".rstrip()


def _run_as_user(function: Callable[[Parsed, str | None], int], options: Parsed, root: str | None) -> int:
    """Run a command that may be the first to need a user's session, and tell then what the session lacks."""
    from pypod.cli.system import notes

    before = notes.session_of(root)
    try:
        return function(options, root)
    finally:
        notes.tell_of_new(root, before)


def _summaries() -> list[tuple[str, str]]:
    rows = [(name, row[2]) for name, row in VERBS.items()]
    return sorted([*rows, *((name, group[0]) for name, group in GROUPS.items())])


if __name__ == "__main__":
    main()
