"""The command line's reference, made from the tables that parse it: pypod/cli/verbs.py and the commands' flags.

``{commands} GROUP`` writes a section for each command of a group (``pypod`` for those that are in none),
``{command-list}`` a table of all of them, ``{exit-codes}`` the codes that the program has for what goes wrong.
"""

from __future__ import annotations

from textwrap import dedent
from typing import NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from pypod import errors
from pypod.cli.flags.parser import TYPE_NAMES, Command, Flag, default_text
from pypod.cli.main import ENGINE_FAILED, INTERRUPTED
from pypod.cli.verbs import GROUPS, VERBS, load

TOP = "pypod"
log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """A command, every name it answers to (its own first), and the group whose page has it."""

    command: Command
    names: tuple[str, ...]
    group: str


def entries() -> list[Entry]:
    """Return every command once, by name."""
    names: dict[tuple[str, str], list[str]] = {}
    homes: dict[tuple[str, str], str] = {}
    rows: dict[tuple[str, str], tuple[str, str, str]] = {}
    tables = [(TOP, TOP, VERBS), *((group, f"{TOP} {group}", verbs) for group, (_, verbs) in GROUPS.items())]
    for group, path, verbs in tables:
        for verb, row in verbs.items():
            key = row[:2]
            names.setdefault(key, []).append(f"{path} {verb}".strip())
            rows[key] = row
            if homes.get(key, TOP) == TOP:
                homes[key] = group
    found = []
    for key, row in rows.items():
        command = load(row)[0]
        others = sorted(name for name in names[key] if name != command.path)
        found.append(Entry(command, (command.path, *others), homes[key]))
    return sorted(found, key=lambda entry: entry.command.path)


def anchor(name: str) -> str:
    """Return the id of a command's section: ``pypod pod create`` is at ``#pypod-pod-create``."""
    return name.replace(" ", "-")


def literal(text: str) -> nodes.literal:
    return nodes.literal("", text)


def paragraph(*parts: str | nodes.Node) -> nodes.paragraph:
    return nodes.paragraph("", "", *(nodes.Text(part) if isinstance(part, str) else part for part in parts))


def with_literals(text: str) -> list[nodes.Node]:
    """Return text in which `what stands in backquotes` is shown as it is typed."""
    return [literal(part) if odd % 2 else nodes.Text(part) for odd, part in enumerate(text.split("`"))]


class Commands(SphinxDirective):
    """The sections of one group."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        group = self.arguments[0]
        documented(self.env).setdefault(self.env.docname, set()).add(group)
        return [self._section(entry) for entry in entries() if entry.group == group]

    def _section(self, entry: Entry) -> nodes.section:
        command = entry.command
        ids = [anchor(name) for name in entry.names]
        section = nodes.section("", nodes.title("", command.path), ids=ids, names=[])
        standard = self.env.get_domain("std")
        for name in entry.names:
            standard.note_hyperlink_target(anchor(name), self.env.docname, anchor(name), name)
        self.state.document.note_explicit_target(section)
        section += paragraph(command.summary + ".")
        if len(entry.names) > 1:
            others = [part for name in entry.names[1:] for part in (literal(name), ", ")][:-1]
            section += paragraph("Also: ", *others, ".")
        usage = f"{command.path} {command.synopsis}".rstrip()
        section += nodes.literal_block("", usage, language="text")
        section += _description(command.description)
        shown = sorted((flag for flag in command.flags if not flag.hidden), key=lambda flag: flag.name)
        if shown:
            section += nodes.definition_list("", *(_flag(flag, ids[0]) for flag in shown), classes=["flags"])
        hidden = sorted((flag for flag in command.flags if flag.hidden), key=lambda flag: flag.name)
        if hidden:
            section += _refused(hidden)
        if command.examples:
            section += nodes.literal_block("", "".join(f"# {line}\n" for line in command.examples), language="console")
        return section


def _description(text: str) -> list[nodes.Node]:
    """Return paragraphs; lines that are indented (a table) stay as they are."""
    found: list[nodes.Node] = []
    for block in filter(None, text.split("\n\n")):
        lines = [line.removeprefix("  ") for line in block.splitlines()]
        if any(line.startswith(" ") for line in lines):
            if not lines[0].startswith(" "):
                found.append(paragraph(lines.pop(0)))
            found.append(nodes.literal_block("", dedent("\n".join(lines)), language="text"))
        else:
            found.append(paragraph(*with_literals(" ".join(lines))))
    return found


def _flag(flag: Flag, command: str) -> nodes.definition_list_item:
    term = nodes.term("", "", ids=[f"{command}--{flag.name}"])
    if flag.short:
        term += [literal(f"-{flag.short}"), nodes.Text(", ")]
    term += literal(f"--{flag.name}")
    for alias in flag.aliases:
        term += [nodes.Text(", "), literal(f"--{alias}")]
    value = flag.metavar or TYPE_NAMES[flag.kind]
    if value:
        term += [nodes.Text(" "), nodes.emphasis("", f"[={value}]" if flag.implied else value)]
    words = " ".join(flag.help.split()).rstrip(".")
    more = f" One of {', '.join(flag.choices)}." if flag.choices else ""
    text = f"{words}{default_text(flag)}.{more}{_repeatable(flag)}"
    return nodes.definition_list_item("", term, nodes.definition("", paragraph(*with_literals(text))))


def _repeatable(flag: Flag) -> str:
    if flag.kind == "strings":
        return " May be given several times; commas separate values."
    return " May be given several times." if flag.kind == "stringArray" else ""


def _refused(flags: list[Flag]) -> nodes.paragraph:
    """Tell of the flags that podman has and pypod has not yet, by what they are for."""
    what: dict[str, list[nodes.Node]] = {}
    for flag in flags:
        names = [f"-{flag.short}", f"--{flag.name}"] if flag.short else [f"--{flag.name}"]
        found = what.setdefault(flag.help.removesuffix(" are not available yet"), [])
        for name in names:
            found += [literal(name), nodes.Text(", ")]
    parts: list[str | nodes.Node] = ["Understood and refused, because it is not there yet: "]
    for words, found in what.items():
        parts += [f"{words} (", *found[:-1], "); "]
    return paragraph(*parts[:-1], ").")


class CommandList(SphinxDirective):
    """A table of all commands with links to their sections."""

    def run(self) -> list[nodes.Node]:
        rows = []
        for entry in entries():
            reference = nodes.inline("", entry.command.path, classes=["xref", "std", "std-ref"])
            link = self._reference(anchor(entry.command.path), reference)
            rows.append((paragraph(link), paragraph(entry.command.summary)))
        return [table(("command", "what it does"), rows)]

    def _reference(self, target: str, text: nodes.inline) -> nodes.Node:
        from sphinx.addnodes import pending_xref

        return pending_xref(
            "", text, refdomain="std", reftype="ref", reftarget=target, refdoc=self.env.docname, refexplicit=True,
            refwarn=True,
        )  # fmt: skip


def table(heading: tuple[str, ...], rows: list[tuple[nodes.Node, ...]]) -> nodes.table:
    """Return a table of cells."""
    group = nodes.tgroup("", *(nodes.colspec("", colwidth=1) for _ in heading), cols=len(heading))
    group += nodes.thead("", _row(tuple(paragraph(text) for text in heading)))
    group += nodes.tbody("", *map(_row, rows))
    return nodes.table("", group, classes=["wide"])


def _row(cells: tuple[nodes.Node, ...]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", cell) for cell in cells))


class ExitCodes(SphinxDirective):
    """What the program exits with when something is wrong, from the errors that carry a code."""

    def run(self) -> list[nodes.Node]:
        codes: dict[int, list[str]] = {ENGINE_FAILED: [], INTERRUPTED: []}
        for name in errors.__all__:
            error = getattr(errors, name)
            codes.setdefault(getattr(error, "exit_code", ENGINE_FAILED), []).append(name)
        rows = []
        for code, names in sorted(codes.items()):
            parts = [part for name in names for part in (literal(name), ", ")][:-1] or ["interrupted (control-C)"]
            rows.append((paragraph(literal(str(code))), paragraph(*parts)))
        return [table(("code", "error"), rows)]


def documented(env: BuildEnvironment) -> dict[str, set[str]]:
    """Return the groups that each page has."""
    if not hasattr(env, "pypod_groups"):
        env.pypod_groups = {}  # type: ignore[attr-defined]
    return env.pypod_groups  # type: ignore[attr-defined,no-any-return]


def forget(_app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """A page is read again."""
    documented(env).pop(docname, None)


def check(_app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of groups that have no page: a command that is documented nowhere."""
    missing = {entry.group for entry in entries()}.difference(*documented(env).values())
    for group in sorted(missing):
        log.warning("no page in reference/cli says {commands} %s", group)


def always(_app: Sphinx, env: BuildEnvironment, _added: set[str], _changed: set[str], _removed: set[str]) -> list[str]:
    """Read the pages again whose text is in pypod/cli and not in the page."""
    return sorted(documented(env))


def setup(app: Sphinx) -> dict[str, object]:
    """Register with Sphinx."""
    app.add_directive("commands", Commands)
    app.add_directive("command-list", CommandList)
    app.add_directive("exit-codes", ExitCodes)
    app.connect("env-purge-doc", forget)
    app.connect("env-check-consistency", check)
    app.connect("env-get-outdated", always)
    return {"parallel_read_safe": False, "env_version": 1}
