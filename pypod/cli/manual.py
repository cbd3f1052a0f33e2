"""Manual pages of section 1, made from the tables of commands: ``python -m pypod.cli.manual DIRECTORY`` writes them.

Every command has a page; one that is another's in a group, like ``container run``, refers to the other's.
"""

from __future__ import annotations

import os
import sys

from pypod import __version__
from pypod.cli.flags.parser import TYPE_NAMES, Command, default_text
from pypod.cli.main import whole_top
from pypod.cli.verbs import GROUPS, VERBS, commands_of, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypod.cli.flags.parser import Flag
    from pypod.cli.verbs import Verbs

_WIDE = "  "  # lines of a description that begin with it are shown as they are


def pages() -> dict[str, str]:
    """Return the pages by file name: ``pypod-run.1`` and so on."""
    found = {"pypod.1": _page(whole_top(), [f"pypod-{name}" for name in sorted({*VERBS, *GROUPS})])}
    for group, verbs in (("", VERBS), *((name, one[1]) for name, one in GROUPS.items())):
        if group:
            found[f"pypod-{group}.1"] = _page(_group(group, verbs), _names(group, verbs))
        for name, row in verbs.items():
            if name:
                path = f"pypod {group} {name}" if group else f"pypod {name}"
                found[_file(path)] = _page_of(load(row)[0], path)
    return found


def _names(group: str, verbs: Verbs) -> list[str]:
    return [f"pypod-{group}-{name}".replace(" ", "-") for name in verbs if name]


def _file(path: str) -> str:
    return f"{path.replace(' ', '-')}.1"


def _page_of(command: Command, path: str) -> str:
    """Return the page of a command under one of its names."""
    own = command.path.split()
    is_known = own[1] in VERBS if len(own) == 2 else own[1] in GROUPS and own[2] in GROUPS[own[1]][1]
    if command.path != path and is_known:
        return f".so man1/{_file(command.path)}\n"
    group = path.rpartition(" ")[0].replace(" ", "-")
    return _page(command.replace(path=path), [group])


def _group(name: str, verbs: Verbs) -> Command:
    found = load(verbs[""])[0] if "" in verbs else Command(path="", summary=GROUPS[name][0])
    return found.replace(path=f"pypod {name}", commands=tuple(commands_of(name)))


def _page(command: Command, related: list[str]) -> str:
    """Return a page; ``related`` are the names of others, without their section."""
    return "\n".join([*_lines(command, related), ""])


def _lines(command: Command, related: list[str]) -> Iterator[str]:
    name = command.path.replace(" ", "-")
    yield f'.TH "{name.upper()}" "1" "" "pypod {__version__}" "User Commands"'
    yield from (".ad l", ".SH NAME")
    yield f"{_escaped(name)} \\- {_escaped(command.summary)}"
    yield ".SH SYNOPSIS"
    synopsis = [command.synopsis] if command.synopsis else []
    if command.commands:
        synopsis.append("COMMAND")
    for text in synopsis or [""]:
        yield f"\\fB{_escaped(command.path)}\\fR {_escaped(text)}".rstrip()
        yield ".br"
    if command.description:
        yield ".SH DESCRIPTION"
        yield from _text(command.description)
    flags = [flag for flag in command.flags if not flag.hidden]
    if flags:
        yield ".SH OPTIONS"
        for flag in sorted(flags, key=lambda one: one.name):
            yield from _option(flag)
    if command.commands:
        yield ".SH COMMANDS"
        for verb, summary in command.commands:
            yield from (".TP", f"\\fB{_escaped(verb)}\\fR", _escaped(summary))
    if command.examples:
        yield ".SH EXAMPLES"
        yield from (".nf", *(_escaped(one) for one in command.examples), ".fi")
    yield ".SH SEE ALSO"
    yield ", ".join(f"\\fB{_escaped(one)}\\fR(1)" for one in sorted({*related, "pypod"} - {name}))


def _text(description: str) -> Iterator[str]:
    """Yield a description: paragraphs, and lines that are indented further than those before as they are."""
    for number, paragraph in enumerate(description.split("\n\n")):
        if number:
            yield ".PP"
        for line in paragraph.split("\n"):
            text = line.removeprefix(_WIDE) if number or line.startswith(_WIDE) else line
            yield _escaped(text.strip())


def _option(flag: Flag) -> Iterator[str]:
    value = flag.metavar or TYPE_NAMES[flag.kind]
    names = [f"\\fB\\-\\-{_escaped(flag.name)}\\fR", *([f"\\fB\\-{_escaped(flag.short)}\\fR"] if flag.short else [])]
    yield ".TP"
    yield ", ".join(names) + (f"=\\fI{_escaped(value)}\\fR" if value else "")
    for line in f"{flag.help}{default_text(flag)}".split("\n"):
        yield _escaped(line.strip())
    if flag.choices:
        yield ".br"
        yield _escaped(f"One of {', '.join(flag.choices)}.")


def _escaped(text: str) -> str:
    """Return text for roff: a line must not begin with a dot or an apostrophe, hyphens stay ASCII."""
    found = (
        text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga").replace("'", "\\(aq").replace("^", "\\(ha")
    )
    found = found.replace("~", "\\(ti")
    return f"\\&{found}" if found.startswith(".") else found


def write(directory: str) -> list[str]:
    """Write every page into a directory; return their paths."""
    os.makedirs(directory, exist_ok=True)
    written = []
    for name, text in sorted(pages().items()):
        path = f"{directory}/{name}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        written.append(path)
    return written


if __name__ == "__main__":
    write(sys.argv[1])
