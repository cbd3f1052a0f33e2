"""The operands of a parsed Go template.

An operand has a value as the ``first`` word of a command, where arguments may follow and the value of a pipeline may be
passed in, and as an ``argument``. All messages are those of text/template in Go 1.19, with which podman 4.3.1 is built.
"""

from __future__ import annotations

from pypod.cli.go.template_functions import is_true
from pypod.cli.go.template_state import ABSENT, State
from pypod.cli.go.values import NO_VALUE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.cli.go.template_functions import Function

__all__ = [
    "Call",
    "Chain",
    "Command",
    "Constant",
    "Dot",
    "Field",
    "Nil",
    "Node",
    "Operand",
    "Pipe",
    "Variable",
]


class Node:
    """A node of the tree: messages point to the index ``at`` in the text and show the node's ``str``."""

    __slots__ = ("at",)

    def __init__(self, at: int) -> None:
        self.at = at


class Operand(Node):
    """A node with a value."""

    __slots__ = ()

    def first(self, state: State, command: Command | None, final: object) -> object:
        """Return the value as the first word of ``command`` (None: alone), into which ``final`` is piped."""
        raise NotImplementedError

    def argument(self, state: State, wanted: str) -> object:
        """Return the value as an argument of the Go type ``wanted``."""
        state.node = self
        return state.accept(self.first(state, None, ABSENT), wanted)


class Command(Node):
    """An operand and its arguments."""

    __slots__ = ("words",)

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.words: list[Operand] = []

    def __str__(self) -> str:
        return " ".join(f"({word})" if isinstance(word, Pipe) else str(word) for word in self.words)


class Pipe(Operand):
    """Commands, each fed the value of the previous one; the last value is assigned to the variables ``targets``."""

    __slots__ = ("assigns", "commands", "targets")

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.commands: list[Command] = []
        self.targets: list[str] = []
        self.assigns = False

    def __str__(self) -> str:
        # Go 1.19 prints an assignment like a declaration.
        targets = f"{', '.join(self.targets)} := " if self.targets else ""
        return targets + " | ".join(map(str, self.commands))

    def evaluate(self, state: State) -> object:
        state.node = self
        value = ABSENT
        for command in self.commands:
            value = command.words[0].first(state, command, value)
        for name in self.targets:
            if self.assigns:
                state.assign(name, value)
            else:
                state.variables.append((name, value))
        return value

    def first(self, state: State, command: Command | None, final: object) -> object:
        state.refuse_arguments(command, final)
        return self.evaluate(state)


class Dot(Operand):
    __slots__ = ()

    def __str__(self) -> str:
        return "."

    def first(self, state: State, command: Command | None, final: object) -> object:
        state.node = self
        state.refuse_arguments(command, final)
        return state.dot


class Nil(Operand):
    __slots__ = ()

    def __str__(self) -> str:
        return "nil"

    def first(self, state: State, command: Command | None, final: object) -> object:
        state.node = self
        state.refuse_arguments(command, final)
        raise state.error("nil is not a command")

    def argument(self, state: State, wanted: str) -> object:
        state.node = self
        if wanted in ("string", "int"):
            raise state.error(f"cannot assign nil to {wanted}")
        return state.accept(None, wanted)


class Constant(Operand):
    """A bool, a number or a string; ``text`` is its source text."""

    __slots__ = ("text", "value")

    def __init__(self, at: int, text: str, value: bool | float | str) -> None:
        super().__init__(at)
        self.text = text
        self.value = value

    def __str__(self) -> str:
        return self.text

    def first(self, state: State, command: Command | None, final: object) -> object:
        state.node = self
        state.refuse_arguments(command, final)
        return self.value

    def argument(self, state: State, wanted: str) -> object:
        state.node = self
        value = self.value
        if wanted == "string" and not isinstance(value, str):
            raise state.error(f"expected string; found {self}")
        if wanted == "int":
            if isinstance(value, bool | str) or value != int(value):
                raise state.error(f"expected integer; found {self}")
            return int(value)
        if wanted == "[]string":
            raise state.error(f"can't handle {self} for arg of type {wanted}")
        return value


class Field(Operand):
    """``.Name``, possibly with nested fields."""

    __slots__ = ("names",)

    def __init__(self, at: int, names: tuple[str, ...]) -> None:
        super().__init__(at)
        self.names = names

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)

    def first(self, state: State, command: Command | None, final: object) -> object:
        state.node = self
        return state.fields(state.dot, self.names, command, final)


class Variable(Operand):
    """``$name``, possibly with fields."""

    __slots__ = ("name", "names")

    def __init__(self, at: int, name: str, names: tuple[str, ...] = ()) -> None:
        super().__init__(at)
        self.name = name
        self.names = names

    def __str__(self) -> str:
        return ".".join((self.name, *self.names))

    def first(self, state: State, command: Command | None, final: object) -> object:
        state.node = self
        value = state.variable(self.name)
        if self.names:
            return state.fields(value, self.names, command, final)
        state.refuse_arguments(command, final)
        return value


class Chain(Operand):
    """Fields of a function's result or of a parenthesized pipeline."""

    __slots__ = ("names", "node")

    def __init__(self, at: int, node: Operand, names: tuple[str, ...]) -> None:
        super().__init__(at)
        self.node = node
        self.names = names

    def __str__(self) -> str:
        inner = f"({self.node})" if isinstance(self.node, Pipe) else str(self.node)
        return ".".join((inner, *self.names))

    def first(self, state: State, command: Command | None, final: object) -> object:
        state.node = self
        return state.fields(self.node.argument(state, "value"), self.names, command, final)


class Call(Operand):
    """The name of a function."""

    __slots__ = ("function", "name")

    def __init__(self, at: int, name: str, function: Function) -> None:
        super().__init__(at)
        self.name = name
        self.function = function

    def __str__(self) -> str:
        return self.name

    def first(self, state: State, command: Command | None, final: object) -> object:
        state.node = self
        words = command.words[1:] if command else []
        wanted = self._wanted(state, len(words) + (final is not ABSENT))
        values = (word.argument(state, kind) for word, kind in zip(words, wanted, strict=False))
        if self.name in ("and", "or"):
            return self._decide(values, final)
        operands = list(values)
        if final is not ABSENT:
            operands.append(state.accept(final, wanted[-1]))
        try:
            return self.function.body(*operands)
        except (ValueError, TypeError, LookupError) as problem:
            state.node = command or self
            raise state.error(f"error calling {self.name}: {problem}") from problem

    def _wanted(self, state: State, count: int) -> list[str]:
        parameters, more = self.function.parameters, self.function.more
        least = len(parameters)
        if count < least or (count > least and more is None):
            want = f"at least {least}" if more else least
            raise state.error(f"wrong number of args for {self.name}: want {want} got {count}")
        return [*parameters, *[more or ""] * (count - least)]

    def _decide(self, values: Iterable[object], final: object) -> object:
        value: object = NO_VALUE
        for value in values:
            if is_true(value) == (self.name == "or"):
                return value
        return value if final is ABSENT else final
