"""Go's text/template for ``--format``: the subset that podman's users need.

Values are plain Python: a Struct is a Go struct, where an unknown field is an error; any other dict is a map, where a
missing key prints ``<no value>``; lists, str, int, float, bool, bytes and None are what they look like.

A template of literal text and plain fields, as most are, is rendered here without further imports. All others are
parsed by template_parser into nodes that evaluate themselves. Not supported: define, template, block, complex numbers
and the functions call, html, js, urlquery.
"""

from __future__ import annotations

from pypod.cli.go.values import NO_VALUE, NoValue, Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pypod.cli.go.template_state import Tree

    _Plain = tuple[str | tuple[str, ...], ...]

__all__ = ["Template", "compile", "render"]

_BLANKS = " \t\r\n"


class Template:
    """A parsed template; created by ``compile``."""

    __slots__ = ("_each", "_functions", "_plain", "_tree", "name", "text")

    def __init__(
        self, text: str, name: str, functions: Mapping[str, Callable[..., object]] | None, *, each: bool
    ) -> None:
        self.name = name
        self.text = text
        self._each = each
        self._functions = functions
        self._plain = _plain_parts(text)
        self._tree: Tree | None = None
        if self._plain is None:
            self._tree = self._parse()

    def _parse(self) -> Tree:
        from pypod.cli.go.template_parser import parse

        return parse(
            f"{{{{range .}}}}{self.text}{{{{end -}}}}" if self._each else self.text, self.name, self._functions
        )

    def render(self, value: object) -> str:
        """Apply the template to ``value``. Raises TemplateError."""
        if self._plain is not None:
            try:
                if not self._each:
                    return _render_plain(self._plain, value)
                if isinstance(value, list | tuple):
                    return "".join([_render_plain(self._plain, row) for row in value])
            except KeyError:
                pass  # the full engine produces the error message
        if self._tree is None:
            self._tree = self._parse()

        return self._tree.execute(value)


def compile(
    text: str,
    *,
    name: str = "format",
    functions: Mapping[str, Callable[..., object]] | None = None,
    each: bool = False,
) -> Template:
    """Parse a template. Raises TemplateError.

    ``functions`` adds to Go's and podman's functions; a function that fails raises ValueError. With ``each`` the value
    is a list and the template is applied to each of its elements. ``name`` is the command's name in podman's messages.
    """
    return Template(text, name, functions, each=each)


def render(text: str, value: object, *, functions: Mapping[str, Callable[..., object]] | None = None) -> str:
    """Parse a template and apply it once. Raises TemplateError."""
    return compile(text, functions=functions).render(value)


def _plain_parts(text: str) -> _Plain | None:
    """Split a template into literal text and the names of plain fields; None when it contains anything else."""
    first, *actions = text.split("{{")
    parts: list[str | tuple[str, ...]] = [first]
    for action in actions:
        inside, closed, after = action.partition("}}")
        dot, *names = inside.strip(_BLANKS).split(".")
        if not closed or dot or not names or inside[:1] == "-":
            return None
        if names == [""]:
            names = []
        if not all(name.isidentifier() and name.isascii() for name in names):
            return None
        parts.append(tuple(names))
        parts.append(after)
    return tuple(parts)


def _render_plain(parts: _Plain, value: object) -> str:
    return "".join([part if isinstance(part, str) else _show(_walk(value, part)) for part in parts])


def _walk(value: object, names: tuple[str, ...]) -> object:
    for name in names:
        if not isinstance(value, dict):
            raise KeyError(name)
        value = value[name] if isinstance(value, Struct) else value.get(name, NO_VALUE)
    return value


def _show(value: object) -> str:
    kind = type(value)
    if kind is str or kind is int or kind is NoValue:
        return str(value)
    from pypod.cli.go.fmt import format_value

    return format_value(value)
