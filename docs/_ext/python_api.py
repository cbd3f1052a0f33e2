"""What autodoc cannot know of pypod: names looked up late, values without ``__init__``, options of containers."""

from __future__ import annotations

import inspect
import re
from typing import Any

from command_line import default_text, literal, paragraph, table, with_literals
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

import pypod
from pypod import errors
from pypod.cli.flags.options import flags_of
from pypod.model.options import container, limits, network
from pypod.model.options.fields import flag_of, options_of
from pypod.model.value import Value

# Made by callers; everything else is made by pypod, and its constructor is nobody's business.
MADE_BY_CALLERS = {"pypod.Access", "pypod.Engine", "pypod.Healthcheck", "pypod.Mount"}
_ERROR = re.compile(rf"(?<![`\w.])({'|'.join(errors.__all__)})(?![`\w])")
_MODULE = re.compile(r"\b(?:\w+\.)+(?=\w)")


class ContainerOptions(SphinxDirective):
    """The table of the options that create and run take."""

    def run(self) -> list[nodes.Node]:
        for module in (container, limits, network):
            self.env.note_dependency(module.__file__)
        flags = {flag.name: flag for flag in flags_of(container.ContainerOptions)}
        rows = []
        for name, (kind, _, _) in container.ContainerOptions.parameters().items():
            field, about = options_of(container.ContainerOptions)[name]
            flag = flags.get(flag_of(field))
            text = about.help.rstrip(".") + default_text(flag) if flag else about.help
            shown = literal(f"--{flag.name}") if flag else nodes.Text("")
            kind_text = _MODULE.sub("", inspect.formatannotation(kind))
            rows.append(
                (
                    paragraph(literal(name)),
                    paragraph(literal(kind_text)),
                    paragraph(shown),
                    paragraph(*with_literals(text)),
                )
            )
        return [table(("option", "type", "flag", "meaning"), rows)]


def signature(
    _app: Sphinx, what: str, name: str, value: Any, _options: Any, arguments: str | None, result: str | None
) -> tuple[str | None, str | None]:
    """Show no constructor of what callers do not make, and the fields of a value as its arguments."""
    if what in ("class", "exception"):
        if name not in MADE_BY_CALLERS:
            return "", None
        if issubclass(value, Value):
            return _fields(value), None
    return arguments, result


def _fields(value: type[Value]) -> str:
    words = []
    for name in value._fields:
        kind = inspect.formatannotation(inspect.get_annotations(value)[name])
        default = f" = {value._defaults[name]!r}" if name in value._defaults else ""
        words.append(f"{name}: {kind}{default}")
    return f"(*, {', '.join(words)})"


def skip(_app: Sphinx, _what: str, name: str, value: Any, skipped: bool, _options: Any) -> bool | None:
    """Leave out ``check`` of values: it runs by itself."""
    if name == "check" and getattr(value, "__module__", "").startswith("pypod"):
        return True
    return skipped or None


def link_errors(_app: Sphinx, _what: str, _name: str, _value: Any, _options: Any, lines: list[str]) -> None:
    """Make links of the errors that a docstring names, and leave out the options at its end: there is a table."""
    if "Options:" in lines:
        del lines[lines.index("Options:") :]
    lines[:] = [line if line.lstrip().startswith(">>>") else _ERROR.sub(r":exc:`\1`", line) for line in lines]


def remember_order() -> None:
    """Let autodoc find the order of members in the modules that the classes are written in."""
    exported = ModuleAnalyzer.for_module("pypod")
    exported.analyze()
    for module in set(pypod._WHERE.values()):
        written = ModuleAnalyzer.for_module(module)
        written.analyze()
        exported.tagorder.update(written.tagorder)


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element) -> nodes.Node | None:
    """Find a type by its last name: annotations name it without the module it is in."""
    if node.get("refdomain") != "py" or node.get("reftype") not in ("class", "exc", "obj"):
        return None
    python = env.get_domain("py")
    last = node["reftarget"].rpartition(".")[2]
    found = [name for name in python.objects if name.rpartition(".")[2] == last]
    if len(found) != 1 or last != node["reftarget"]:
        return None
    return python.resolve_xref(env, node["refdoc"], app.builder, node["reftype"], found[0], node, content)


def setup(app: Sphinx) -> dict[str, object]:
    """Register with Sphinx."""
    remember_order()
    app.add_directive("container-options", ContainerOptions)
    app.connect("autodoc-process-signature", signature)
    app.connect("autodoc-skip-member", skip)
    app.connect("autodoc-process-docstring", link_errors)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True}
