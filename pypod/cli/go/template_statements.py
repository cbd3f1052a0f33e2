"""The statements of a parsed Go template: text, actions, if, with, range, break and continue."""

from __future__ import annotations

from pypod.cli.go.fmt import format_value, sorted_keys
from pypod.cli.go.template_functions import is_true
from pypod.cli.go.template_operands import Node, Pipe
from pypod.cli.go.values import NO_VALUE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.cli.go.template_state import State

__all__ = ["Action", "Block", "Conditional", "Jump", "Range", "Text"]


class Text(Node):
    __slots__ = ("text",)

    def __init__(self, at: int, text: str) -> None:
        super().__init__(at)
        self.text = text

    def run(self, state: State) -> None:
        state.out.append(self.text)


class Action(Node):
    """Print a value, unless it is assigned to a variable."""

    __slots__ = ("pipe",)

    def __init__(self, at: int, pipe: Pipe) -> None:
        super().__init__(at)
        self.pipe = pipe

    def run(self, state: State) -> None:
        value = self.pipe.evaluate(state)
        if not self.pipe.targets:
            state.out.append(str(value) if value is NO_VALUE else format_value(value))


class Block(Node):
    """A sequence of statements."""

    __slots__ = ("items",)

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.items: list[Text | Action | Conditional | Range | Jump] = []

    def run(self, state: State) -> None:
        for item in self.items:
            item.run(state)


class _Branch(Node):
    """A pipeline and two blocks, which are the scope of the pipeline's variables."""

    __slots__ = ("body", "otherwise", "pipe")

    def __init__(self, at: int, pipe: Pipe, body: Block, otherwise: Block | None) -> None:
        super().__init__(at)
        self.pipe = pipe
        self.body = body
        self.otherwise = otherwise

    def run(self, state: State) -> None:
        mark = len(state.variables)
        self.choose(state, self.pipe.evaluate(state))
        del state.variables[mark:]

    def choose(self, state: State, value: object) -> None:
        raise NotImplementedError

    def run_otherwise(self, state: State) -> None:
        if self.otherwise is not None:
            self.otherwise.run(state)


class Conditional(_Branch):
    """``if``, or ``with``, which sets the dot to the value."""

    __slots__ = ("moves_dot",)

    def __init__(self, at: int, pipe: Pipe, body: Block, otherwise: Block | None, *, moves_dot: bool) -> None:
        super().__init__(at, pipe, body, otherwise)
        self.moves_dot = moves_dot

    def choose(self, state: State, value: object) -> None:
        if not is_true(value):
            self.run_otherwise(state)
            return
        dot = state.dot
        if self.moves_dot:
            state.dot = value
        try:
            self.body.run(state)
        finally:
            state.dot = dot


class Range(_Branch):
    __slots__ = ()

    def choose(self, state: State, value: object) -> None:
        items = self._items(state, value)
        if not items:
            self.run_otherwise(state)
            return
        dot = state.dot
        try:
            self._loop(state, items)
        except _BreakLoop:
            pass
        finally:
            state.dot = dot

    def _loop(self, state: State, items: Iterable[tuple[object, object]]) -> None:
        targets = self.pipe.targets
        mark = len(state.variables)
        for key, item in items:
            del state.variables[mark:]
            if targets:
                state.assign(targets[-1], item)
            if len(targets) > 1:
                state.assign(targets[0], key)
            state.dot = item
            try:
                self.body.run(state)
            except _ContinueLoop:
                continue

    def _items(self, state: State, value: object) -> list[tuple[object, object]]:
        if isinstance(value, dict):
            return [(key, value[key]) for key in sorted_keys(value)]
        if isinstance(value, list | tuple):
            return list(enumerate(value))
        if value is not None and value is not NO_VALUE:
            raise state.error(f"range can't iterate over {format_value(value)}")
        return []


class _BreakLoop(Exception):
    pass


class _ContinueLoop(Exception):
    pass


class Jump(Node):
    """``break`` or ``continue``."""

    __slots__ = ("ends",)

    def __init__(self, at: int, *, ends: bool) -> None:
        super().__init__(at)
        self.ends = ends

    def run(self, _state: State) -> None:
        raise _BreakLoop if self.ends else _ContinueLoop
