"""Tables as util-linux prints them (libsmartcols): aligned columns, trees, raw lines and JSON."""

from __future__ import annotations

from itertools import zip_longest

from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import TextIO

__all__ = ["Column", "Line", "Style", "escaped", "write"]

_GAP = " "
_JSON_INDENT = 3
_UTF8_TREE = ("├─", "└─", "│ ", "  ")
_ASCII_TREE = ("|-", "`-", "| ", "  ")


class Column(Value):
    """A column: ``right`` aligned, a ``number`` in JSON, with ``cut`` truncated to the terminal's width.

    ``hint`` is the minimum width when a cell is wider than the heading.
    """

    name: str
    hint: int = 0
    right: bool = False
    number: bool = False
    cut: bool = False


class Line:
    """A line: the text of each cell by column name, None for an empty cell; and its child lines in a tree."""

    __slots__ = ("cells", "children")

    def __init__(self, cells: Mapping[str, str | None], parent: Line | None = None) -> None:
        self.cells = cells
        self.children: list[Line] = []
        if parent is not None:
            parent.children.append(self)


class Style(Value):
    """The style of a table. ``tree`` is the column with the tree; ``width`` is the terminal's, 0 for no limit.

    ``name`` is the name of the list in JSON.
    """

    name: str
    raw: bool = False
    json: bool = False
    headings: bool = True
    tree: str = ""
    width: int = 0
    ascii: bool = False


def write(roots: Sequence[Line], columns: Sequence[Column], style: Style, stream: TextIO) -> None:
    """Write the root lines and the lines below them."""
    if style.json:
        stream.write(_json(roots, columns, style))
        return
    heading = [[column.name for column in columns]] if style.headings else []
    rows = list(_rows(roots, columns, style))
    if style.raw:
        stream.write("".join([f"{' '.join(row)}\n" for row in (*heading, *rows)]))
        return
    rows = [physical for row in rows for physical in _physical(row)]
    widths = _widths(rows, columns, style)
    stream.write("".join(_aligned([*heading, *rows], columns, widths, style)))


def _rows(roots: Sequence[Line], columns: Sequence[Column], style: Style) -> Iterator[list[str]]:
    branch, last, bar, blank = _ASCII_TREE if style.ascii else _UTF8_TREE
    waiting = [(line, "", "") for line in reversed(roots)]
    names = [column.name for column in columns]
    tree = names.index(style.tree) if style.tree in names else -1
    while waiting:
        line, prefix, mark = waiting.pop()
        cells = [line.cells.get(name) or "" for name in names]
        whole = "".join(cells)  # a single check for ordinary rows instead of one per cell
        if style.raw or not (whole.isascii() and whole.isprintable()):
            cells = [escaped(text, raw=style.raw) for text in cells]
        if tree >= 0:
            cells[tree] = escaped(prefix + mark, raw=style.raw) + cells[tree]
        yield cells
        below = prefix + {"": "", branch: bar, last: blank}[mark]
        children = line.children
        for child in reversed(children):
            waiting.append((child, below, last if child is children[-1] else branch))


def escaped(text: str, *, raw: bool = False) -> str:
    r"""Return text with unprintable characters escaped as ``\x`` and two digits for each byte."""
    if text.isascii() and text.isprintable() and not (raw and (" " in text or "\\" in text)):
        return text
    return "".join(
        character if _is_safe(character, raw=raw) else "".join(f"\\x{byte:02x}" for byte in _bytes(character))
        for character in text
    )


def _is_safe(character: str, *, raw: bool) -> bool:
    if raw:
        return character.isascii() and character.isprintable() and character not in " \\"
    return character.isprintable() or character == "\n"


def _bytes(character: str) -> bytes:
    return character.encode("utf-8", "surrogateescape")


def _physical(row: list[str]) -> Iterable[list[str]]:
    """Return the output lines of a row: several when a cell has several lines."""
    if "\n" not in "".join(row):
        return (row,)
    return [list(parts) for parts in zip_longest(*(cell.split("\n") for cell in row), fillvalue="")]


def _widths(rows: list[list[str]], columns: Sequence[Column], style: Style) -> list[int]:
    widest = [max(map(len, cells)) for cells in zip(*rows, strict=True)] or [0] * len(columns)
    widths = [_width(column, width) for column, width in zip(columns, widest, strict=True)]
    over = sum(widths) + len(_GAP) * (len(widths) - 1) - style.width
    for index, column in enumerate(columns):
        if style.width and over > 0 and column.cut:
            least = len(column.name)
            taken = min(over, max(widths[index] - least, 0))
            widths[index] -= taken
            over -= taken
    return widths


def _width(column: Column, widest: int) -> int:
    heading = len(column.name)
    if widest < heading:
        return heading
    return max(widest, column.hint) if heading < column.hint else widest


def _aligned(rows: Iterable[list[str]], columns: Sequence[Column], widths: list[int], style: Style) -> Iterator[str]:
    rights = [column.right and column.name != style.tree for column in columns]
    fields = [f"{{:{'>' if right else '<'}{width}.{width}}}" for right, width in zip(rights, widths, strict=True)]
    line = _GAP.join([*fields[:-1], "{}\n"]).format
    last = fields[-1].format
    for row in rows:
        yield line(*row[:-1], last(row[-1]).rstrip())


def _json(roots: Sequence[Line], columns: Sequence[Column], style: Style) -> str:
    lines = "},{".join(_json_object(line, columns, _JSON_INDENT * 2) for line in roots)
    indent = " " * _JSON_INDENT
    return f'{{\n{indent}"{style.name}": [\n{indent * 2}{{{lines}}}\n{indent}]\n}}\n'


def _json_object(line: Line, columns: Sequence[Column], depth: int) -> str:
    import json

    inner = "\n" + " " * (depth + _JSON_INDENT)
    fields = []
    for column in columns:
        text = line.cells.get(column.name)
        value = "null" if not text else text if column.number else json.dumps(text, ensure_ascii=False)
        fields.append(f'"{column.name.lower()}": {value}')
    if line.children:
        below = depth + _JSON_INDENT * 2
        children = "},{".join(_json_object(child, columns, below) for child in line.children)
        fields.append(f'"children": [\n{" " * below}{{{children}}}{inner}]')
    return inner + f",{inner}".join(fields) + "\n" + " " * depth
