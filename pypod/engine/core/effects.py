"""The changes that Python makes on the host, besides running plans, as values: explain only prints them."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self


class Effect:
    """One change: ``words`` and ``page`` (a manual page) describe it, ``perform`` makes it.

    ``undo`` reverts it when a later step fails. It must not fail when the change was made in part or not at all. A
    change that may stay, such as a directory that the next attempt will need, has none.
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
    """Make the changes in order. Raises what the calls raise."""
    for effect in effects:
        effect.perform()


def directory(path: str, mode: int = 0o700) -> Effect:
    """Create a directory unless it exists."""
    return Effect(f"make directory {path}", "mkdir(2)", lambda: os.makedirs(path, mode, exist_ok=True))


class Undoing:
    """Undo actions, run in reverse order when the block is left without a call of ``keep``.

    An ExitStack without the import of contextlib, which would add milliseconds to each container start.
    """

    __slots__ = ("_actions",)

    def __init__(self) -> None:
        self._actions: list[Callable[[], object]] = []

    def add(self, undo: Callable[[], object] | None) -> None:
        """Register the undo action of the next change."""
        if undo is not None:
            self._actions.append(undo)

    def keep(self) -> None:
        """Drop the undo actions: the block has succeeded."""
        self._actions.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._actions:
            try:
                self._actions.pop()()
            except BaseException:
                self.__exit__()  # the remaining ones must run even if this one raises
                raise
