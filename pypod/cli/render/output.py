"""The layout of podman's listings: columns, ``--format`` for rows, durations and sizes in words."""

from __future__ import annotations

from pypod.model.ids import INFRA_IMAGE
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, TextIO

    from pypod.api.summaries import ContainerSummary
    from pypod.cli.go.template import Template

__all__ = [
    "Column",
    "align",
    "compile_format",
    "exit_code",
    "header_map",
    "human_ago",
    "human_duration",
    "human_size",
    "image_name",
    "is_json",
    "split_table",
    "write_format",
    "write_table",
]

_MIN_WIDTH = 12  # podman: tabwriter.NewWriter(os.Stdout, 12, 2, 2, ' ', 0)
_PADDING = 2


class Column(Value):
    """A column of a listing: ``key`` as ``--format`` names it, ``title`` as the heading shows it.

    ``getter`` takes a row and returns the cell; without one the cell is ``row[key]``.
    """

    key: str
    title: str
    getter: Callable[[Any], object] | None = None

    def cell(self, row: Any) -> str:
        value = row[self.key] if self.getter is None else self.getter(row)
        text = value if isinstance(value, str) else _printed(value)
        return text if text.isprintable() else _escaped(text)


def _escaped(text: str) -> str:
    from pypod.cli.render.plain_text import escaped

    return escaped(text)


def _printed(value: object) -> str:
    from pypod.cli.go.fmt import format_value

    return format_value(value)


def write_table(rows: Iterable[Any], columns: Sequence[Column], *, stream: TextIO, noheading: bool = False) -> None:
    """Write one line per row under a heading, in podman's layout."""
    lines = [] if noheading else ["\t".join([column.title for column in columns])]
    lines += ["\t".join([column.cell(row) for column in columns]) for row in rows]
    stream.write(align("\n".join(lines) + "\n" if lines else ""))


def align(text: str) -> str:
    """Replace tabs by spaces to align cells in columns, as Go's tabwriter does with podman's settings.

    A tab ends a cell. A column is as wide as its widest cell in a run of consecutive lines that have the column; the
    text after a line's last tab belongs to no column.
    """
    lines = [line.split("\t") for line in text.split("\n")]
    column = 0
    while True:
        having = [len(cells) - 1 > column for cells in lines]
        if not any(having):
            return "\n".join(["".join(cells) for cells in lines])
        start = 0
        while start < len(lines):
            end = start
            while end < len(lines) and having[end]:
                end += 1
            if end > start:
                _pad(lines[start:end], column)
            start = end + 1
        column += 1


def _pad(lines: list[list[str]], column: int) -> None:
    width = max(_MIN_WIDTH, _PADDING + max(len(cells[column]) for cells in lines))
    for cells in lines:
        cells[column] = cells[column].ljust(width)


def is_json(text: str) -> bool:
    """Return whether ``--format`` asks for the whole list as JSON: ``json``, ``{{json .}}`` or ``{{json}}``."""
    text = text.strip()
    if not (text.startswith("{{") and text.endswith("}}")):
        return text == "json"
    word, dot = text[2:-2].strip()[:4], text[2:-2].strip()[4:].strip()
    return word == "json" and dot in ("", ".")


def split_table(text: str) -> tuple[bool, str]:
    """Return whether ``--format`` asks for a table, and its template with podman's escapes resolved.

    ``\\t`` and ``\\n`` become the characters; in a table every space becomes a tab; the template ends with a newline.
    """
    table = text.startswith("table ")
    if table:
        text = text.replace("table ", "").replace(" ", "\t")
    text = text.replace("\\t", "\t").replace("\\n", "\n")
    return table, text if text.endswith("\n") else text + "\n"


def compile_format(
    text: str, *, name: str, functions: Mapping[str, Callable[..., object]] | None = None, each: bool = True
) -> tuple[bool, Template]:
    """Return whether ``--format`` asks for a table, and its template. Raises TemplateError.

    With ``each`` the template is applied to each row of a list, unless it has a ``{{range .}}`` of its own.
    """
    from pypod.cli.go.template import compile
    from pypod.cli.go.values import TemplateError

    table, normal = split_table(text)
    if each and not table:
        each = not _ranges_itself(text)
    try:
        return table, compile(normal, name=name, functions=functions, each=each)
    except TemplateError:
        # Resolving escapes breaks a string literal that contains "\n": podman then uses the text unchanged.
        return table, compile(text, name=name, functions=functions, each=each)


def _ranges_itself(text: str) -> bool:
    if "range" not in text:
        return False
    import re

    return re.search(r"(?s)\{\{\s*range\s*\.\s*}}.*\{\{\s*end\s*-?\s*}}", text) is not None


def write_format(
    text: str,
    rows: Sequence[object],
    *,
    name: str,
    headers: Mapping[str, str],
    stream: TextIO,
    noheading: bool = False,
    functions: Mapping[str, Callable[..., object]] | None = None,
) -> None:
    """Write ``rows`` according to ``--format``; a table gets ``headers`` (see header_map) and is aligned.

    Raises TemplateError before anything is written.
    """
    table, template = compile_format(text, name=name, functions=functions)
    output = template.render([dict(headers)]) if table and not noheading else ""
    output += template.render(rows)
    stream.write(align(output) if table else output)


def header_map(fields: Iterable[str], titles: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the heading of each field: ``CREATED AT`` for ``CreatedAt``, unless ``titles`` has another."""
    headers = {field: " ".join(_camel_words(field)).upper() for field in fields}
    headers.update({field: title.upper() for field, title in (titles or {}).items()})
    return headers


def _camel_words(name: str) -> list[str]:
    """Split like github.com/fatih/camelcase: at every change of character class, ``PDFLoader`` before ``Loader``."""
    words: list[str] = []
    before = ""
    for char in name:
        kind = "lower" if char.islower() else "upper" if char.isupper() else "digit" if char.isdigit() else "other"
        if kind == before:
            words[-1] += char
        elif kind == "lower" and before == "upper":
            start = words.pop()
            words += [start[:-1], start[-1] + char] if len(start) > 1 else [start + char]
        else:
            words.append(char)
        before = kind
    return words


# (below this many hours, unit, hours in the unit): go-units' duration.go.
_LONG_UNITS = ((48, "hours", 1), (24 * 14, "days", 24), (24 * 60, "weeks", 24 * 7), (24 * 365 * 2, "months", 24 * 30))


def human_duration(seconds: float) -> str:
    """Return a duration in words, as docker/go-units does: ``About a minute``, ``3 days``."""
    whole = int(seconds)
    if whole < 60:
        return "Less than a second" if whole < 1 else "1 second" if whole == 1 else f"{whole} seconds"
    minutes = whole // 60
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    for limit, unit, size in _LONG_UNITS:
        if hours < limit:
            return f"{hours // size} {unit}"
    return f"{int(seconds / 3600) // 24 // 365} years"


def human_ago(seconds: float) -> str:
    """Return a duration as a time in the past: ``5 minutes ago``."""
    return f"{human_duration(seconds)} ago"


def human_size(size_bytes: float, *, precision: int = 4, binary: bool = False) -> str:
    """Return a size in words, as docker/go-units does: ``7.651MB``, or ``7.297MiB`` when ``binary``."""
    base, units = (1024.0, "KMGTPEZY") if binary else (1000.0, "kMGTPEZY")
    size, power = float(size_bytes), 0
    while size >= base and power < len(units):
        size /= base
        power += 1
    unit = f"{units[power - 1]}{'i' if binary else ''}B" if power else "B"
    return f"{size:.{precision}g}{unit}"


def exit_code(container: ContainerSummary) -> int:
    """Return the exit code: -1 when it is unknown, 0 before the container has ended."""
    state = container.state
    return (state.exit_code or 0) if state.exit_code_known else -1


def image_name(container: ContainerSummary) -> str:
    """Return the name of the image as a listing shows it."""
    return container.image or (INFRA_IMAGE if container.is_infra else "")
