"""One execution of a Go template: its output so far, its variables and its errors."""

from __future__ import annotations

from pypod.cli.go.fmt import type_name
from pypod.cli.go.strconv import quote
from pypod.cli.go.values import NO_VALUE, Struct, TemplateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.cli.go.template_operands import Command, Node
    from pypod.cli.go.template_statements import Block

__all__ = ["ABSENT", "State", "Tree"]

ABSENT: object = object()  # no value comes in through the pipeline


class Tree:
    """A parsed template, with the text that messages point into."""

    __slots__ = ("name", "root", "text")

    def __init__(self, name: str, text: str, root: Block) -> None:
        self.name = name
        self.text = text
        self.root = root

    def execute(self, value: object) -> str:
        """Apply the template to ``value``. Raises TemplateError."""
        state = State(self, value)
        try:
            self.root.run(state)
        except RecursionError:
            raise TemplateError(self.name, f"{self.name}: nested too deeply") from None
        except TemplateError as error:
            error.written = "".join(state.out)
            raise
        return "".join(state.out)


class State:
    """``variables`` is a stack of (name, value), ``dot`` the dot, ``node`` the node being evaluated."""

    __slots__ = ("dot", "node", "out", "tree", "variables")

    def __init__(self, tree: Tree, value: object) -> None:
        self.tree = tree
        self.dot = value
        self.out: list[str] = []
        self.variables: list[tuple[str, object]] = [("$", value)]
        self.node: Node = tree.root

    def error(self, message: str) -> TemplateError:
        """Return an error that points at the current node."""
        text, at, name = self.tree.text, self.node.at, self.tree.name
        line = text.count("\n", 0, at) + 1
        column = len(text[text.rfind("\n", 0, at) + 1 : at].encode("utf-8", "surrogateescape"))
        where = f"{name}:{line}:{column}: executing {quote(name)} at <{self.node}>"
        return TemplateError(name, f"{where}: {message}")

    def variable(self, name: str) -> object:
        return self.variables[self._find(name)][1]

    def assign(self, name: str, value: object) -> None:
        self.variables[self._find(name)] = (name, value)

    def _find(self, name: str) -> int:
        for index in range(len(self.variables) - 1, -1, -1):
            if self.variables[index][0] == name:
                return index
        raise self.error(f"undefined variable: {name}")

    def refuse_arguments(self, command: Command | None, final: object) -> None:
        """Raise TemplateError when something other than a function is given arguments."""
        if final is not ABSENT or (command and len(command.words) > 1):
            raise self.error(f"can't give argument to non-function {command.words[0] if command else self.node}")

    def fields(self, receiver: object, names: Sequence[str], command: Command | None, final: object) -> object:
        """Return ``receiver.names[0].names[1]...``."""
        for name in names[:-1]:
            receiver = self._field(receiver, name, called=False)
        called = final is not ABSENT or (command is not None and len(command.words) > 1)
        return self._field(receiver, names[-1], called=called)

    def _field(self, receiver: object, name: str, *, called: bool) -> object:
        if receiver is NO_VALUE:
            return NO_VALUE
        if receiver is None:
            raise self.error(f"nil pointer evaluating interface {{}}.{name}")
        if isinstance(receiver, Struct):
            return self._struct_field(receiver, name, called=called)
        if not isinstance(receiver, dict):
            raise self.error(f"can't evaluate field {name} in type {type_name(receiver)}")
        if called:
            raise self.error(f"{name} is not a method but has arguments")
        return receiver.get(name, NO_VALUE)

    def _struct_field(self, receiver: Struct, name: str, *, called: bool) -> object:
        try:
            value: object = receiver[name]
        except KeyError:
            raise self.error(f"can't evaluate field {name} in type {type_name(receiver)}") from None
        if called:
            raise self.error(f"{name} has arguments but cannot be invoked as function")
        return value

    def accept(self, value: object, wanted: str) -> object:
        """Return ``value`` as an argument of the Go type ``wanted``."""
        if wanted == "value":
            return value
        if value is NO_VALUE:
            value = None
        if wanted == "interface {}":
            return value
        if wanted == "[]string" and (not value and isinstance(value, list | tuple | None)):
            return []
        if value is None:
            raise self.error(f"invalid value; expected {wanted}")
        if type_name(value) != wanted:
            raise self.error(f"wrong type for value; expected {wanted}; got {type_name(value)}")
        return value
