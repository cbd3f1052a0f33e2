"""Render values as HTML and SVG. Outside input is escaped, truncated and stripped of control characters.

Nothing here is active: no scripts, no links except to manual pages. Colours are tints over ``currentColor``, so that
the output is readable in light and dark themes, and every colour has a letter or a word beside it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

LIMIT = 80
_ELLIPSIS = "…"
_ATTRIBUTE_LIMIT = 400
_ROWS_LIMIT = 500
_CELL = "text-align:left;vertical-align:top;padding:2px 10px;font-family:monospace;"
# Next to a long command, numbers and names would be broken in the middle.
_WRAPPED, _WHOLE, _WHOLE_LIMIT = f"{_CELL}overflow-wrap:anywhere", f"{_CELL}white-space:nowrap", 24


class Shown:
    """Mixin for values that IPython shows as their ``str()`` where it shows plain text."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002
        printer.text(str(self))


class Markup(str):
    """A string that is already HTML or SVG."""

    __slots__ = ()


def plain(value: object, limit: int = LIMIT) -> str:
    r"""Return a printable string: control characters as ``\x1b``, and no more than ``limit`` characters.

    Terminal sequences, bidirectional control characters and bytes that are not UTF-8 are escaped, too.

    >>> plain("\x1b[31mred", 12)
    '\\x1b[31mred'
    >>> plain("a" * 9, 4)
    'aaa…'
    """
    text = str(value)
    # a character becomes ten at most, so the rest beyond the limit need not be escaped
    text = "".join(one if one.isprintable() else _escaped(one) for one in text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + _ELLIPSIS


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as Python encodes it (PEP 383)
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def text(value: object, limit: int = LIMIT) -> Markup:
    """Return a value escaped for HTML and SVG; see ``plain``."""
    from html import escape

    return Markup(escape(plain(value, limit)))


def element(name: str, *children: object, **attributes: object) -> Markup:
    """Return an element; children that are not Markup are escaped. ``_`` in an attribute's name stands for ``-``.

    >>> element("td", "<b>", title='"')
    '<td title="&quot;">&lt;b&gt;</td>'
    """
    words = [name, *(f'{key.replace("_", "-")}="{text(value, _ATTRIBUTE_LIMIT)}"' for key, value in attributes.items())]
    inside = "".join(child if isinstance(child, Markup) else text(child) for child in children)
    return Markup(f"<{' '.join(words)}>{inside}</{name}>")


def join(parts: Iterable[str]) -> Markup:
    """Return the concatenation of pieces of markup."""
    return Markup("".join(parts))


def table(heading: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> Markup:
    """Return a table; a Markup cell is used as is. Rows beyond 500 are counted, not shown."""
    shown = rows[:_ROWS_LIMIT]
    head = element("tr", *(_cell(word, "th") for word in heading)) if heading else Markup()
    body = join(element("tr", *map(_cell, row)) for row in shown)
    if len(rows) > len(shown):
        body = join([body, element("tr", _cell(f"and {len(rows) - len(shown)} more"))])
    title = element("caption", caption, style="text-align:left;font-weight:bold") if caption else Markup()
    return element("table", title, element("thead", head), element("tbody", body), style="border-collapse:collapse")


def _cell(content: object, name: str = "td") -> Markup:
    parts = content if isinstance(content, tuple) else (content,)
    short = sum(len(str(part)) for part in parts) <= _WHOLE_LIMIT
    return element(name, *parts, style=_WHOLE if short else _WRAPPED)


def manual(page: str) -> Markup:
    """Return a link to a manual page: ``setns(2)``."""
    name, _, section = page.rstrip(")").partition("(")
    if not (section[:1].isdigit() and name.replace("_", "").replace("-", "").isalnum()):
        return element("span", page)
    address = f"https://man7.org/linux/man-pages/man{section[0]}/{name}.{section}.html"
    return element("a", page, href=address, rel="noopener noreferrer", target="_blank")


# A tint behind each letter, to make equal letters easy to spot; the letter alone suffices without colour.
_TINTS = ("128,128,128", "59,130,246", "234,148,20", "34,170,110", "190,90,220", "225,80,90", "20,170,190")


def tinted(mark: str) -> Markup:
    """Return the letter of a namespace on that letter's tint."""
    if not mark[:1].isalpha():
        return element("span", mark)
    tint = _TINTS[(ord(mark[0]) - ord("A")) % len(_TINTS)]
    return element("span", mark, style=f"background:rgba({tint},.3);padding:0 8px;border-radius:3px")
