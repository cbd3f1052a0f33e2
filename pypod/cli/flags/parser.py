"""Parse command lines like podman: tables of flags, and one parser with pflag's rules.

argparse cannot stop at the first positional, parse ``-dit``, or distinguish ``--rm=false`` from ``--rm false``, and it
costs every command 6 to 8 ms. Messages are podman 4.3.1's, because scripts match on them.
"""

from __future__ import annotations

from pypod.cli.flags.values import CONVERTERS, TYPE_NAMES, ZEROS
from pypod.errors import PypodError
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pypod.cli.flags.values import FlagValue

__all__ = ["TYPE_NAMES", "Command", "Flag", "Parsed", "UsageError", "default_text", "parse", "usage"]


class UsageError(PypodError):
    """The command line is invalid. ``command`` is the path of the command, such as ``pypod pod create``."""

    def __init__(self, command: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.command = command


class Flag(Value):
    """One flag in a command's table.

    ``kind`` is bool, int, uint, float, string, strings (split at commas, repeatable), stringToString (the same, of
    KEY=VALUE) or stringArray (repeatable, not split). ``aliases`` are accepted and never shown. ``default`` None means
    the zero value of the kind. ``choices`` restricts a string. With ``implied`` the value is optional: it follows ``=``
    or the short letter, or is ``implied``.
    """

    name: str
    kind: str = "string"
    short: str = ""
    help: str = ""
    default: FlagValue | None = None
    metavar: str = ""
    hidden: bool = False
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    implied: str = ""

    @property
    def value(self) -> FlagValue:
        """The value of the flag when it is not on the command line; a list is a new one."""
        found = ZEROS[self.kind] if self.default is None else self.default
        return list(found) if isinstance(found, list | tuple) else found

    @property
    def label(self) -> str:
        """The flag as error messages name it: ``-t, --time``."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


class Command(Value):
    """A command's arguments and help.

    ``path`` is the full name (``pypod pod create``), ``synopsis`` follows it in the usage line (``[options] [NAME]``),
    ``aliases`` are alternatives to its last word. With ``interspersed`` False, parsing of flags stops at the first
    positional, for commands that run a command. ``max_args`` None is no limit. A group lists its ``commands`` as (name,
    summary).
    """

    path: str
    summary: str = ""
    description: str = ""
    synopsis: str = ""
    flags: tuple[Flag, ...] = ()
    aliases: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()
    interspersed: bool = True
    min_args: int = 0
    max_args: int | None = None


class Parsed:
    """A parsed command line: ``parsed["name"]`` is the given value, or the default.

    ``line`` has all words of the command line, also those before the command.
    """

    __slots__ = ("_flags", "_given", "command", "help", "line", "positionals")

    def __init__(self, command: Command) -> None:
        self.command = command
        self.help = False
        self.line: tuple[str, ...] = ()
        self.positionals: list[str] = []
        self._flags = {flag.name: flag for flag in command.flags}
        self._given: dict[str, FlagValue] = {}

    def __getitem__(self, name: str) -> Any:
        return self._given[name] if name in self._given else self._flags[name].value

    def changed(self, name: str) -> bool:
        """Return whether the flag is on the command line, even with its default value."""
        if name not in self._flags:
            raise KeyError(name)
        return name in self._given

    def take(self, other: Parsed, command: Command, names: Sequence[str]) -> None:
        """Become the parsed line of ``command``, with those of ``names`` that are given in ``other``."""
        self.command = command
        self._flags = {flag.name: flag for flag in command.flags}
        self._given.update({name: other._given[name] for name in names if name in other._given})

    def set(self, flag: Flag, text: str) -> None:
        """Set ``flag`` to the value ``text``; the first use of a list flag replaces its default. Raises ValueError."""
        value = CONVERTERS[flag.kind](text)
        if flag.choices and text not in flag.choices:
            from pypod.cli.go.strconv import quote

            raise ValueError(f'{quote(text)} is not a valid value.  Choose from: "{", ".join(flag.choices)}"')
        before = self._given.get(flag.name)
        if isinstance(before, list) and isinstance(value, list):
            before += value
        else:
            self._given[flag.name] = value


_HELP = Flag(name="help", kind="bool", short="h", hidden=True)


class _Parser:
    """One pass over ``argv``; ``rest`` holds the unread words, in reverse order."""

    def __init__(self, command: Command, argv: Sequence[str]) -> None:
        self.command = command
        self.rest = list(argv)
        self.rest.reverse()
        self.parsed = Parsed(command)
        self.long: dict[str, Flag] = {"help": _HELP}
        self.short: dict[str, Flag] = {"h": _HELP}
        for flag in command.flags:
            self.long[flag.name] = flag
            for alias in flag.aliases:
                self.long[alias] = flag
            if flag.short:
                self.short[flag.short] = flag

    def error(self, message: str) -> UsageError:
        path = self.command.path
        return UsageError(path, f"{message}\nSee '{path} --help'")

    def run(self) -> Parsed:
        positionals = self.parsed.positionals
        while self.rest:
            word = self.rest.pop()
            if word == "--":
                break
            if word[:1] != "-" or word == "-":
                positionals.append(word)
                if not self.command.interspersed:
                    break
            elif word.startswith("--"):
                self.long_flag(word)
            else:
                self.short_flags(word[1:])
        positionals += reversed(self.rest)
        return self.parsed

    def long_flag(self, word: str) -> None:
        name, equals, value = word[2:].partition("=")
        if not name or name[0] == "-":
            raise self.error(f"bad flag syntax: {word}")
        flag = self.long.get(name)
        if flag is None:
            raise self.error(f"unknown flag: --{name}")
        if not equals:
            if flag.kind == "bool" or flag.implied:
                value = flag.implied or "true"
            elif self.rest:
                value = self.rest.pop()
            else:
                raise self.error(f"flag needs an argument: {word}")
        self.assign(flag, value)

    def short_flags(self, letters: str) -> None:
        while letters:
            flag = self.short.get(letters[0])
            if flag is None:
                raise self.error(f"unknown shorthand flag: {_quoted_first_byte(letters)} in -{letters}")
            # pflag requires a value after the equals sign: "-p=" results in the value "=".
            if len(letters) > 2 and letters[1] == "=":
                value, letters = letters[2:], ""
            elif flag.kind == "bool":
                value, letters = "true", letters[1:]
            elif len(letters) > 1 or flag.implied:
                value, letters = letters[1:] or flag.implied, ""
            elif self.rest:
                value, letters = self.rest.pop(), ""
            else:
                raise self.error(f"flag needs an argument: {_quoted_first_byte(letters)} in -{letters}")
            self.assign(flag, value)

    def assign(self, flag: Flag, text: str) -> None:
        try:
            self.parsed.set(flag, text)
        except ValueError as problem:
            from pypod.cli.go.strconv import quote

            raise self.error(f'invalid argument {quote(text)} for "{flag.label}" flag: {problem}') from None
        if flag.name == "help":
            self.parsed.help = bool(self.parsed["help"])


def _quoted_first_byte(letters: str) -> str:
    from pypod.cli.go.strconv import quote_rune

    return quote_rune(letters.encode("utf-8", "surrogateescape")[0])


def parse(command: Command, argv: Sequence[str]) -> Parsed:
    """Parse the words after the command's name.

    When help is requested, ``help`` is true and the number of positionals is not checked. Raises UsageError.
    """
    parsed = _Parser(command, argv).run()
    if not parsed.help:
        _check_count(command, len(parsed.positionals))
    return parsed


def _check_count(command: Command, received: int) -> None:
    least, most = command.min_args, command.max_args
    if received >= least and (most is None or received <= most):
        return
    if most is None:
        message = f"requires at least {least} arg(s), only received {received}"
    elif most == 0:
        message = f"`{command.path}` takes no arguments"
    elif least == most:
        message = f"accepts {most} arg(s), received {received}"
    elif least == 0:
        message = f"accepts at most {most} arg(s), received {received}"
    else:
        message = f"accepts between {least} and {most} arg(s), received {received}"
    raise UsageError(command.path, message)


def usage(command: Command) -> str:
    """Return the help text of ``command`` in podman's layout, which ends with an empty line."""
    flags = sorted((flag for flag in command.flags if not flag.hidden), key=lambda flag: flag.name)
    blocks = [command.summary]
    if command.description:
        blocks.append(f"Description:\n  {command.description}")
    line = f"{command.path} {command.synopsis}".rstrip()
    blocks.append(f"Usage:\n  {line}{' [command]' if command.commands else ''}")
    if command.aliases:
        blocks.append(f"Aliases:\n  {', '.join((command.path.rpartition(' ')[2], *command.aliases))}")
    if command.examples:
        blocks.append("Examples:\n" + "\n".join(f"  {example}" for example in command.examples))
    if command.commands:
        width = max(11, *(len(name) for name, _ in command.commands))
        rows = (f"  {name:<{width}} {summary}" for name, summary in sorted(command.commands))
        blocks.append("Available Commands:\n" + "\n".join(rows))
    if flags:
        blocks.append("Options:\n" + "\n".join(_option_lines(flags)).rstrip())
    return "\n\n".join(blocks) + "\n\n"


def _option_lines(flags: list[Flag]) -> list[str]:
    heads = []
    for flag in flags:
        start = f"  -{flag.short}, --{flag.name}" if flag.short else f"      --{flag.name}"
        heads.append(f"{start} {flag.metavar or TYPE_NAMES[flag.kind]}".rstrip())
    width = max(map(len, heads)) + 3
    indent = "\n" + " " * width
    texts = (f"{flag.help}{default_text(flag)}".replace("\n", indent) for flag in flags)
    return [head.ljust(width) + text for head, text in zip(heads, texts, strict=True)]


def default_text(flag: Flag) -> str:
    """Return `` (default VALUE)`` for a flag whose default is not the zero value, else nothing."""
    value = flag.value
    if flag.kind == "stringToString":
        return " (default [])"
    if value == ZEROS[flag.kind]:
        return ""
    if isinstance(value, list):
        return f" (default [{','.join(value)}])"
    from pypod.cli.go.fmt import format_value
    from pypod.cli.go.strconv import quote

    return f" (default {quote(value) if isinstance(value, str) else format_value(value)})"
