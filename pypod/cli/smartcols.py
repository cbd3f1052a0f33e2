"""Tables as util-linux prints them (libsmartcols): aligned columns, trees, raw lines and JSON."""

from __future__ import annotations

from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TextIO

__all__ = ["Column", "Line", "Style", "write"]

_GAP = " "
_JSON_INDENT = 3
_UTF8_TREE = ("├─", "└─", "│ ", "  ")
_ASCII_TREE = ("|-", "`-", "| ", "  ")


class Column(Value):
    """A column: ``right`` aligns, ``number`` says what it is in JSON, ``cut`` that the terminal's width may cut it.

    ``hint`` is the width it gets when something in it is wider than its heading.
    """

    name: str
    hint: int = 0
    right: bool = False
    number: bool = False
    cut: bool = False


class Line:
    """A line: the text of each cell by column name, None where there is nothing; lines below it in a tree."""

    __slots__ = ("cells", "children")

    def __init__(self, cells: Mapping[str, str | None], parent: Line | None = None) -> None:
        self.cells = cells
        self.children: list[Line] = []
        if parent is not None:
            parent.children.append(self)


class Style(Value):
    """How a table is written. ``tree`` names the column that shows it; ``width`` is the terminal's, 0 for no limit.

    ``name`` is what JSON calls the list.
    """

    name: str
    raw: bool = False
    json: bool = False
    headings: bool = True
    tree: str = ""
    width: int = 0
    ascii: bool = False


def write(roots: Sequence[Line], columns: Sequence[Column], style: Style, stream: TextIO) -> None:
    """Write the lines that are below no other, and what is below them."""
    if style.json:
        stream.write(_json(roots, columns, style))
        return
    rows = list(_rows(roots, columns, style))
    if style.headings:
        rows.insert(0, [column.name for column in columns])
    if style.raw:
        stream.write("".join(f"{' '.join(row)}\n" for row in rows))
        return
    cells = [[cell.split("\n") for cell in row] for row in rows]
    widths = _widths(cells, columns, style)
    stream.write("".join(_physical_lines(cells, columns, widths, style)))


def _rows(roots: Sequence[Line], columns: Sequence[Column], style: Style) -> Iterator[list[str]]:
    branch, last, bar, blank = _ASCII_TREE if style.ascii else _UTF8_TREE
    waiting = [(line, "", "") for line in reversed(roots)]
    while waiting:
        line, prefix, mark = waiting.pop()
        yield [_cell(line, column, style, prefix + mark) for column in columns]
        below = prefix + {"": "", branch: bar, last: blank}[mark]
        children = line.children
        for child in reversed(children):
            waiting.append((child, below, last if child is children[-1] else branch))


def _cell(line: Line, column: Column, style: Style, prefix: str) -> str:
    text = line.cells.get(column.name) or ""
    if column.name == style.tree:
        text = prefix + text
    return _escaped(text, raw=style.raw)


def _escaped(text: str, *, raw: bool) -> str:
    r"""Return text in which every character can be seen: others as ``\x`` and two digits for each byte."""
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


def _widths(cells: list[list[list[str]]], columns: Sequence[Column], style: Style) -> list[int]:
    rows = cells[1:] if style.headings else cells
    widths = [
        _width(column, max((len(part) for row in rows for part in row[index]), default=0))
        for index, column in enumerate(columns)
    ]
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


def _physical_lines(
    cells: list[list[list[str]]], columns: Sequence[Column], widths: list[int], style: Style
) -> Iterator[str]:
    for row in cells:
        for number in range(max(map(len, row))):
            parts = []
            for cell, column, width in zip(row, columns, widths, strict=True):
                text = cell[number] if number < len(cell) else ""
                right = column.right and column.name != style.tree
                parts.append(text[:width].rjust(width) if right else text[:width].ljust(width))
            parts[-1] = parts[-1].rstrip()
            yield _GAP.join(parts) + "\n"


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
