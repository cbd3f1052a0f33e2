"""What autodoc cannot know of pypod: names looked up late, values without ``__init__``, options of containers."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

from command_line import _default_text, literal, paragraph, table, with_literals
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

import pypod
from pypod import errors
from pypod.api import options
from pypod.cli.flags.container import FLAGS
from pypod.engine.containers import options as container_options
from pypod.engine.resources import limits
from pypod.model.value import Value

# Made by callers; everything else is made by pypod, and its constructor is nobody's business.
MADE_BY_CALLERS = {"pypod.Access", "pypod.Engine", "pypod.Healthcheck", "pypod.Mount"}
_ERROR = re.compile(rf"(?<![`\w.])({'|'.join(errors.__all__)})(?![`\w])")
_UNPACKED = re.compile(r"Unpack\[(\w+)\]")
SOURCES = (container_options, options, limits)
# The flags that are not spelled as the option.
FLAG_OF = {
    "add_hosts": "add-host",
    "environment": "env",
    "exposed_ports": "expose",
    "groups": "group-add",
    "labels": "label",
    "dns_options": "dns-option",
    "mounts": "mount",
    "network_aliases": "network-alias",
    "ports": "publish",
    "remove": "rm",
    "sysctls": "sysctl",
    "terminal": "tty",
    "ulimits": "ulimit",
    "volumes": "volume",
    "working_directory": "workdir",
}
# What a flag's text cannot say, because the command line has it in another form.
WORDS = {
    "healthcheck": "What --health-cmd and its like say",
    "rootfs": "The directory that is the container's root file system; /, the host's own, too",
    "overlay": "Leave the directory as it is and write to a layer on top (DIRECTORY:O of --rootfs); default True",
    "idmap": "Have the owners on the disk be ids of its user namespace (DIRECTORY:idmap of --rootfs); default False",
}


class ContainerOptions(SphinxDirective):
    """The table of the options that create and run take."""

    def run(self) -> list[nodes.Node]:
        for source in SOURCES:
            self.env.note_dependency(source.__file__)
        flags = {flag.name: flag for flag in FLAGS}
        rows = []
        for name, kind in fields_of("ContainerOptions"):
            flag_name = FLAG_OF.get(name, name.replace("_", "-"))
            flag = flags.get(flag_name)
            if name in WORDS:
                text = WORDS[name]
            elif flag is not None:
                text = flag.help.rstrip(".") + _default_text(flag)
            else:
                raise self.error(f"the option {name} of a container has no flag and no words")
            shown = literal(f"--{flag_name}") if flag else nodes.Text("")
            rows.append(
                (paragraph(literal(name)), paragraph(literal(kind)), paragraph(shown), paragraph(*with_literals(text)))
            )
        return [table(("option", "type", "flag", "meaning"), rows)]


def fields_of(name: str) -> list[tuple[str, str]]:
    """Return the fields, and their types, of a class that only type checkers see: its own, then those of its bases."""
    trees = [ast.parse(Path(source.__file__).read_text(encoding="utf-8")) for source in SOURCES]
    classes = {node.name: node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    bases = [base.id for base in classes[name].bases if base.id != "TypedDict"]
    lines = [line for line in classes[name].body if isinstance(line, ast.AnnAssign)]
    own = [(line.target.id, ast.unparse(line.annotation)) for line in lines]
    return own + [field for base in reversed(bases) for field in fields_of(base)]


def signature(
    _app: Sphinx, what: str, name: str, value: Any, _options: Any, arguments: str | None, result: str | None
) -> tuple[str | None, str | None]:
    """Show no constructor of what callers do not make, and the fields of a value as its arguments."""
    if what in ("class", "exception"):
        if name not in MADE_BY_CALLERS:
            return "", None
        if issubclass(value, Value):
            return _fields(value), None
    return _plain(arguments), _plain(result)


def _plain(text: str | None) -> str | None:
    return _UNPACKED.sub(r"\1", text) if text else text


def _fields(value: type[Value]) -> str:
    words = []
    for name in value._fields:
        kind = inspect.get_annotations(value)[name]
        default = f" = {value._defaults[name]!r}" if name in value._defaults else ""
        words.append(f"{name}: {kind}{default}")
    return f"(*, {', '.join(words)})"


def skip(_app: Sphinx, _what: str, name: str, value: Any, skipped: bool, _options: Any) -> bool | None:
    """Leave out ``check`` of values: it runs by itself."""
    if name == "check" and getattr(value, "__module__", "").startswith("pypod"):
        return True
    return skipped or None


def link_errors(_app: Sphinx, _what: str, _name: str, _value: Any, _options: Any, lines: list[str]) -> None:
    """Make links of the errors that a docstring names."""
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
