"""A group of commands inside a group: ``image trust``, ``system connection``."""

from __future__ import annotations

from pypod.cli.flags.parser import UsageError, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from pypod.cli.flags.parser import Parsed


def refuse_group(options: Parsed) -> NoReturn:
    """Raise UsageError: a group cannot run without a known command. If there is no command at all, print its help."""
    path = options.command.path
    if options.positionals:
        words = f"unrecognized command `{path} {options.positionals[0]}`"
        raise UsageError(path, f"{words}\nTry '{path} --help' for more information")
    print(usage(options.command), end="", flush=True)
    raise UsageError(path, f"missing command '{path} COMMAND'")
