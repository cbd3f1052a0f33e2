"""lsns: list namespaces like util-linux, with the pods and containers that they belong to."""

from __future__ import annotations

import sys

from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.cli.render.smartcols import Column, Line, Style, write
from pypod.errors import InvalidSpec
from pypod.kernel.abi import DIGITS_LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from pypod import NamespaceFacts, ProcessFacts
    from pypod.cli.flags.parser import Parsed

_COLUMNS = {
    name: (Column(name=name, hint=hint, right=right, number=number, cut=name == "COMMAND"), help)
    for name, hint, right, number, help in (
        ("NS", 10, True, True, "namespace identifier (inode number)"),
        ("TYPE", 5, False, False, "kind of namespace"),
        ("PATH", 0, False, False, "path to the namespace"),
        ("NPROCS", 5, True, True, "number of processes in the namespace"),
        ("PID", 5, True, True, "lowest PID in the namespace"),
        ("PPID", 5, True, True, "PPID of the PID"),
        ("COMMAND", 0, False, False, "command line of the PID"),
        ("UID", 0, True, True, "UID of the PID"),
        ("USER", 0, False, False, "username of the PID"),
        ("NETNSID", 0, True, False, "namespace ID as used by network subsystem"),
        ("NSFS", 0, False, False, "nsfs mountpoint (usually used network subsystem)"),
        ("PNS", 10, True, True, "parent namespace identifier (inode number)"),
        ("ONS", 10, True, True, "owner namespace identifier (inode number)"),
        ("POD", 0, False, False, "pods that run in the namespace"),
        ("CONTAINER", 0, False, False, "containers that run in the namespace"),
        ("WHY", 0, False, False, "what keeps it alive: process, thread, bind, fd, below"),
    )
}
_ONLY_BELOW = ("below",)
_RELATIONS = {"NETNSID", "PNS", "ONS"}
LSNS = Command(
    path="pypod lsns",
    summary="List namespaces, the containers in them and what keeps them alive",
    description=(
        "Options and columns are those of lsns(8), plus the columns POD, CONTAINER and WHY. With a namespace\n"
        "  number, lists the processes in that namespace.\n\n  Columns:\n"
        + "\n".join(f"  {name:>11}  {help}" for name, (_, help) in _COLUMNS.items())
    ),
    synopsis="[options] [NAMESPACE]",
    flags=(
        Flag(name="json", short="J", kind="bool", help="Use JSON output format"),
        Flag(name="list", short="l", kind="bool", help="Use list output format: no trees"),
        Flag(name="noheadings", short="n", kind="bool", help="Do not print headings"),
        Flag(name="output", short="o", metavar="list", help="Columns to print; +list adds to the default ones"),
        Flag(name="output-all", kind="bool", help="Print all columns"),
        Flag(name="task", short="p", metavar="pid", help="Print the namespaces of a process"),
        Flag(name="raw", short="r", kind="bool", help="Use raw output format"),
        Flag(name="notruncate", short="u", kind="bool", help="Do not cut text to the terminal's width"),
        Flag(name="nowrap", short="W", kind="bool", help="Do not use several lines for one cell"),
        Flag(name="type", short="t", kind="stringArray", metavar="name", help="Kind of namespace"),
        Flag(name="tree", short="T", metavar="rel", implied="owner", help="Print a tree of parent, owner or process"),
    ),
    examples=("pypod lsns -t net", "pypod lsns -o NS,TYPE,POD,CONTAINER,WHY", "pypod lsns --tree=parent -t pid"),
    max_args=1,
)


def run_lsns(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod lsns``."""
    from pypod import lsns

    if options["json"] and options["raw"]:
        raise UsageError("pypod lsns", "mutually exclusive arguments: --json --raw")
    tree = _tree(options)
    if options.positionals:
        _list_processes(options, tree)
        return 0
    columns = _columns(options, _default_columns(options["type"]))
    pid = _number(options["task"], "--task", "invalid PID argument") if options.changed("task") else None
    found: list[NamespaceFacts] = lsns(
        options["type"],
        pid=pid,
        engine=_engine(root),
        relations=tree in ("parent", "owner") or not _RELATIONS.isdisjoint(column.name for column in columns),
    )
    if tree not in ("parent", "owner"):
        found = [one for one in found if one.why != _ONLY_BELOW]
    names = [column.name for column in columns]
    rows = [(one, _cells(one, names, options)) for one in found]
    branches = "COMMAND" if tree == "process" else "NS" if tree else ""
    # without the column in which the branches are drawn there is no tree, not in JSON either
    roots = _NESTED[tree if branches in names else ""](rows)
    write(roots, columns, _style(options, branches), sys.stdout)
    return 0


def _engine(root: str | None) -> Any:
    from pypod.api.engine import Engine

    return Engine(root) if root else None


def _tree(options: Parsed) -> str:
    """Return the relation that the tree shows, empty for none."""
    tree: str = options["tree"] or ("" if options["list"] else "process")
    if tree not in _NESTED:
        raise InvalidSpec("--tree", f"unknown tree type: {tree}")
    return tree


def _default_columns(types: Sequence[str]) -> list[str]:
    network = ["NETNSID", "NSFS"] if "net" in types else []
    return ["NS", "TYPE", "NPROCS", "PID", "USER", *network, "POD", "CONTAINER", "WHY", "COMMAND"]


def _columns(options: Parsed, default: list[str]) -> list[Column]:
    asked: str = options["output"]
    names = list(_COLUMNS) if options["output-all"] else default
    if asked:
        names = (names if asked[0] == "+" or options["output-all"] else []) + asked.removeprefix("+").split(",")
    for name in names:
        if name.upper() not in _COLUMNS:
            raise InvalidSpec("--output", f"unknown column: {name}")
    return [_COLUMNS[name.upper()][0] for name in names]


def _number(text: str, argument: str, message: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS_LIMIT):
        raise InvalidSpec(argument, f"{message}: '{text}'")
    return int(text)


def _cells(one: NamespaceFacts, names: Sequence[str], options: Parsed) -> dict[str, str | None]:
    """Return the cells of the requested columns."""
    cells = {name: _TEXTS[name](one) for name in names}
    if one.nsfs and "NSFS" in cells and (options["nowrap"] or options["raw"]):
        cells["NSFS"] = ",".join(one.nsfs)
    return cells


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


_TEXTS: dict[str, Callable[[NamespaceFacts], str | None]] = {
    "NS": lambda one: str(one.ns),
    "TYPE": lambda one: one.type,
    "PATH": lambda one: one.path,
    "NPROCS": lambda one: str(one.nprocs),
    "PID": lambda one: _text(one.pid),
    "PPID": lambda one: _text(one.ppid),
    "COMMAND": lambda one: one.command,
    "UID": lambda one: _text(one.uid),
    "USER": lambda one: one.user,
    "NETNSID": lambda one: one.netnsid,
    "NSFS": lambda one: "\n".join(one.nsfs),
    "PNS": lambda one: str(one.pns),
    "ONS": lambda one: str(one.ons),
    "POD": lambda one: ",".join(one.pods),
    "CONTAINER": lambda one: ",".join(one.containers),
    "WHY": lambda one: ",".join(one.why),
}
Rows = list[tuple["NamespaceFacts", dict[str, "str | None"]]]


def _flat(rows: Rows) -> list[Line]:
    return [Line(cells) for _, cells in rows]


def _by_process(rows: Rows) -> list[Line]:
    """Nest as lsns does: a line goes below the last earlier line that shows its process's parent."""
    roots = []
    last_of: dict[int, Line] = {}
    for one, cells in rows:
        parent = last_of.get(one.ppid) if one.ppid is not None else None
        line = Line(cells, parent)
        if parent is None:
            roots.append(line)
        if one.pid is not None:
            last_of[one.pid] = line
    return roots


def _by_relation(
    rows: Rows, above: Callable[[NamespaceFacts], int], before: Callable[[NamespaceFacts], int]
) -> list[Line]:
    """Nest each line below the namespace that ``above`` returns; the one that ``before`` returns is shown earlier."""
    known = {one.ns: (one, cells) for one, cells in rows}
    lines: dict[int, Line] = {}
    roots: list[Line] = []

    def add(one: NamespaceFacts, cells: dict[str, str | None]) -> None:
        earlier = known.get(before(one))
        if earlier is not None and earlier[0].ns not in lines and earlier[0] is not one:
            add(*earlier)
        if one.ns not in lines:
            parent = lines.get(above(one))
            lines[one.ns] = Line(cells, parent)
            if parent is None:
                roots.append(lines[one.ns])

    for one, cells in rows:
        add(one, cells)
    return roots


_NESTED: dict[str, Callable[[Rows], list[Line]]] = {
    "": _flat,
    "process": _by_process,
    "parent": lambda rows: _by_relation(rows, lambda one: one.pns, lambda one: one.pns or one.ons),
    "owner": lambda rows: _by_relation(rows, lambda one: one.ons, lambda one: one.ons),
}


def _list_processes(options: Parsed, tree: str) -> None:
    from pypod import processes_in

    if options.changed("task"):
        raise UsageError("pypod lsns", "--task is mutually exclusive with <namespace>")
    inode = _number(options.positionals[0], "NAMESPACE", "invalid namespace argument")
    columns = _columns(options, ["PID", "PPID", "USER", "COMMAND"])
    processes = processes_in(inode)
    known = {one.pid: one for one in processes}
    lines: dict[int, Line] = {}
    roots: list[Line] = []

    def add(one: ProcessFacts) -> None:
        above = known.get(one.ppid) if tree else None
        if above is not None and above.pid not in lines:  # pids wrap around: a child's may be smaller than its parent's
            add(above)
        parent = lines.get(one.ppid) if tree else None
        lines[one.pid] = Line(_process_cells(one), parent)
        if parent is None:
            roots.append(lines[one.pid])

    for one in processes:
        if one.pid not in lines:
            add(one)
    write(roots, columns, _style(options, "COMMAND" if tree else ""), sys.stdout)


def _process_cells(one: ProcessFacts) -> dict[str, str | None]:
    return {
        "PID": str(one.pid),
        "PPID": str(one.ppid),
        "UID": str(one.uid),
        "USER": one.user,
        "COMMAND": one.command,
    }


def _style(options: Parsed, tree: str) -> Style:
    import os

    width = 0
    if sys.stdout.isatty() and not options["notruncate"]:
        width = os.get_terminal_size(sys.stdout.fileno()).columns
    return Style(
        name="namespaces",
        raw=options["raw"],
        json=options["json"],
        headings=not options["noheadings"],
        tree=tree,
        width=width,
        ascii=sys.stdout.encoding.lower() != "utf-8",
    )
