"""What Python does to the host beside the plans: as values, so that it can be told and not be done."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self


class Effect:
    """One change: ``words`` and ``page`` (a manual page) for a reader, ``perform`` to make it.

    ``undo`` takes it back when what it was made for fails. It has nothing to say when the change was made in part or
    not at all. What may stay, such as a directory for the next attempt, has none.
    """

    __slots__ = ("page", "perform", "undo", "words")

    def __init__(
        self, words: str, page: str, perform: Callable[[], object], undo: Callable[[], object] | None = None
    ) -> None:
        self.words = words
        self.page = page
        self.perform = perform
        self.undo = undo

    def __repr__(self) -> str:
        return f"<Effect {self.words}>"


def perform(effects: Iterable[Effect]) -> None:
    """Make the changes in their order. Raises what the calls raise."""
    for effect in effects:
        effect.perform()


def directory(path: str, mode: int = 0o700) -> Effect:
    """Make a directory; it may be there already."""
    return Effect(f"make directory {path}", "mkdir(2)", lambda: os.makedirs(path, mode, exist_ok=True))


class Undoing:
    """What is to be taken back, the last first, when a block is left before ``keep`` was said.

    An ExitStack, without the milliseconds that importing contextlib takes in a program that starts a container.
    """

    __slots__ = ("_actions",)

    def __init__(self) -> None:
        self._actions: list[Callable[[], object]] = []

    def add(self, undo: Callable[[], object] | None) -> None:
        """Remember how to take something back that is about to be made."""
        if undo is not None:
            self._actions.append(undo)

    def keep(self) -> None:
        """Take nothing back: all is well."""
        self._actions.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._actions:
            try:
                self._actions.pop()()
            except BaseException:
                self.__exit__()  # the rest in any case
                raise
