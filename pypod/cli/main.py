"""The command line: parse the words, run the verb, turn the outcome into an exit code."""

from __future__ import annotations

import os
import sys

from pypod.cli import imports
from pypod.cli.verbs import DESCRIPTIONS, GROUPS, VERBS, commands_of, load
from pypod.errors import InvalidSpec, PypodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TextIO

    from pypod.cli.flags.parser import Command, Parsed
    from pypod.cli.verbs import Verb

ENGINE_FAILED = 125  # podman-run(1), "Exit Status"
INTERRUPTED = 130
_OBJECTS_BETWEEN_COLLECTIONS = 50_000
_FEW_FLAGS = (("root", "", "string"), ("version", "v", "bool"))
_HELP = ("-h", "--help")
# Commands that create something or reach a registry: for these, [engine] env of containers.conf counts.
CONFIGURED = frozenset(
    """clone commit create image_sign import load login logout manifest_add manifest_create manifest_inspect
    manifest_push network_create pod_clone pod_create pull push run runlabel search secret_create
    volume_create""".split()
)
_COMPLETING = ("__complete", "__completeNoDesc")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program with ``argv`` (default: the arguments of this process) and exit with its exit code."""
    import gc

    # a command ends before cyclic garbage is worth collecting: the imports alone would trigger the collector 60 times
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    imports.install()
    words = list(sys.argv[1:] if argv is None else argv)
    code = ENGINE_FAILED
    _occupy_standard_streams()
    try:
        code = run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader of our output has gone: write nothing more, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 128 + 13
    except KeyboardInterrupt:
        code = INTERRUPTED
    except OSError as error:  # from our own output: the engine raises PypodError
        code = _tell(f"{error.filename or 'write /dev/stdout'}: {error.strerror}")
    os._exit(code)


def _tell(message: str) -> int:
    """Write an error to stderr, if stderr can be written to; return the exit code."""
    try:
        sys.stderr.write(f"Error: {message}\n")
        sys.stderr.flush()
    except OSError:
        pass
    return ENGINE_FAILED


def _occupy_standard_streams() -> None:
    """Open /dev/null for each closed standard stream: the next file opened would be taken for that stream."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    sys.stdout = _lines(sys.stdout, 1)
    sys.stderr = _lines(sys.stderr, 2)


def _lines(stream: TextIO | None, fd: int) -> TextIO:
    """Return a standard stream that writes whole lines, and no control characters to a terminal.

    With PYTHONUNBUFFERED, a line and its newline are two writes, and the output of other commands on the same pipe or
    terminal can come between them.
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
    """Run one command line; return its exit code. Errors go to stderr in podman's form."""
    try:
        return _dispatch(words)
    except PypodError as error:
        from pypod.cli.render.plain_text import tell, tell_error

        if isinstance(error, InvalidSpec) and error.argument == "--log-level":  # as podman: before it logs anything
            tell(str(error))
            return 1
        tell_error(error)
        return error.exit_code


def _dispatch(words: list[str]) -> int:
    from pypod.cli.flags.parser import UsageError, usage

    parsed = _top(words)
    if parsed["version"] and not parsed.help:
        from pypod import __version__

        print(f"pypod version {__version__}")
        return 0
    rest = list(parsed.positionals)
    if rest[:1] == ["help"] and (rest[1:2] or [""])[0] in {**VERBS, **GROUPS}:  # `help run` is `run --help`
        rest = [*rest[1:], "--help"]
    if parsed.help or not rest or rest == ["help"]:
        print(usage(whole_top()), end="", flush=True)
        if not rest and not parsed.help:
            raise UsageError("pypod", "missing command 'pypod COMMAND'")
        return 0
    if rest[0] in _COMPLETING:
        from pypod.cli.complete import complete

        return complete(rest[1:], whole_top(), parsed["root"] or None, described=rest[0] == _COMPLETING[0])
    found = _verb(rest)
    if found is None:
        return 0
    row, path = found
    command, function = load(row)
    command = command.replace(path=path)
    options = _options(command, rest, parsed)
    options.line = ("pypod", *words)
    if options.help:
        print(usage(command), end="")
        return 0
    root = parsed["root"] or None
    if row[1] in CONFIGURED:
        from pypod.api.configuration import take_environment

        take_environment()
    is_quiet = len(parsed.command.flags) > len(_FEW_FLAGS) and _settle(parsed, root)
    return function(options, root) if os.geteuid() == 0 or is_quiet else _run_as_user(function, options, root)


def _top(words: list[str]) -> Parsed:
    """Return the flags before the verb; a table of all of them is made only when one of the rarer ones is given."""
    from pypod.cli.flags.parser import Command, Flag, UsageError, parse

    few = tuple(Flag(name=name, short=short, kind=kind) for name, short, kind in _FEW_FLAGS)
    try:
        return parse(Command(path="pypod", flags=few, interspersed=False), words)
    except UsageError:
        return parse(whole_top(), words)


def _options(command: Command, words: list[str], top: Parsed) -> Parsed:
    """Parse the words after the verb, where flags of the program itself may stand, too: those go to ``top``."""
    from pypod.cli.flags.parser import UsageError, parse

    try:
        return parse(command, words)
    except UsageError:
        from pypod.cli.general import FLAGS

        names, letters = {flag.name for flag in command.flags}, {flag.short for flag in command.flags}
        general = [flag for flag in FLAGS if flag.name not in names and flag.name != "version"]
        more = [flag.replace(short="") if flag.short in letters else flag for flag in general]
        options = parse(command.replace(flags=(*command.flags, *more)), words)
        top.take(options, whole_top(), [flag.name for flag in more])
        return options


def _tell_no_topic(words: list[str]) -> None:
    from pypod.cli.flags.parser import usage

    shown = usage(whole_top())
    topic = " ".join([f"`{word}`" for word in words])
    sys.stderr.write(f"Unknown help topic [{topic}]\n{shown[shown.index('Usage:') :]}")


def _settle(parsed: Parsed, root: str | None) -> bool:
    """Carry out the flags before the verb; return whether notes are not wanted."""
    from pypod.cli import general

    general.settle(parsed)
    general.require_volume_path(parsed, root)
    general.tell_details(parsed)
    return parsed["log-level"].lower() in general.QUIET_LEVELS


def whole_top() -> Command:
    """Return the program itself as a command: the flags before a verb, and every verb."""
    from pypod.cli.flags.parser import Command
    from pypod.cli.general import FLAGS

    return Command(
        path="pypod",
        summary="Manage pods and containers, without a daemon",
        flags=FLAGS,
        synopsis="[options]",
        commands=tuple(commands_of()),
        interspersed=False,
    )


def _verb(rest: list[str]) -> tuple[Verb, str] | None:
    """Remove the words of the verb from the command line; return the verb's row and its path.

    When help was asked for, but not a verb's, print it and return None. Raises UsageError.
    """
    from pypod.cli.flags.parser import UsageError, usage

    if rest[0] == "help":
        _tell_no_topic(rest[1:])
        return None
    verbs, path, suggested = VERBS, "pypod", ""
    if rest[0] in GROUPS:
        group = rest.pop(0)
        verbs, path = GROUPS[group][1], f"pypod {group}"
        if not rest or (rest[0] not in verbs and not {*_HELP}.isdisjoint(rest)):
            _show_group(group)
            if not rest:
                raise UsageError(path, f"missing command '{path} COMMAND'")
            return None
    elif rest[0] not in verbs and not {*_HELP}.isdisjoint(rest):
        print(usage(whole_top()), end="", flush=True)
        return None
    elif rest[0] not in verbs:
        from pypod.cli.suggestions import suggestions

        suggested = suggestions(rest[0], [name for name, _ in commands_of()])
    name = rest.pop(0) if rest[0] in verbs or "" not in verbs else ""
    if rest and f"{name} {rest[0]}" in verbs:
        name = f"{name} {rest.pop(0)}"
    if name not in verbs:
        raise UsageError(
            path, f"unrecognized command `{path} {name}`\n{suggested}Try '{path} --help' for more information"
        )
    return verbs[name], f"{path} {name}".rstrip()


def _run_as_user(function: Callable[[Parsed, str | None], int], options: Parsed, root: str | None) -> int:
    """Run a command that may be the first to need a user's session; if so, report what the session lacks."""
    from pypod.cli.system import notes

    before = notes.session_of(root)
    try:
        return function(options, root)
    finally:
        notes.tell_of_new(root, before)


def _show_group(name: str) -> None:
    from pypod.cli.flags.parser import Command, usage

    summary, verbs = GROUPS[name]
    told = Command(path=f"pypod {name}", summary=summary, description=DESCRIPTIONS.get(name, summary))
    group = load(verbs[""])[0] if "" in verbs else told
    print(usage(group.replace(commands=tuple(commands_of(name)))), end="", flush=True)


if __name__ == "__main__":
    main()
