"""What Python does to the host before it hands a plan over: as values, so that it can be told and not be done."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Effect:
    """One change: ``words`` and ``page`` (a manual page) for a reader, ``perform`` to make it."""

    __slots__ = ("page", "perform", "words")

    def __init__(self, words: str, page: str, perform: Callable[[], object]) -> None:
        self.words = words
        self.page = page
        self.perform = perform

    def __repr__(self) -> str:
        return f"<Effect {self.words}>"


def perform(effects: Iterable[Effect]) -> None:
    """Make the changes in their order. Raises what the calls raise."""
    for effect in effects:
        effect.perform()


def directory(path: str, mode: int = 0o700) -> Effect:
    """Make a directory; it may be there already."""
    return Effect(f"make directory {path}", "mkdir(2)", lambda: os.makedirs(path, mode, exist_ok=True))
