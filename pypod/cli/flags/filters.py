"""``--filter`` of listings: compile the words of the command line into one test for a row.

A table maps each filter's name to a function that turns its values into a test. Values of one filter are alternatives
(for ``label`` all of them must match); different filters must all match. Values are accepted and rejected as in
podman 4.3.1 (pkg/domain/filters).
"""

from __future__ import annotations

from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TypeVar

    Row = TypeVar("Row")
    Test = Callable[[Row], bool]

__all__ = [
    "FORM",
    "combine",
    "compile_filters",
    "compile_prune_filters",
    "has_labels",
    "matcher",
    "moment_ns",
    "one_of",
    "split",
]

# The message of podman's newer listings, and of its prune commands, for a word that is no filter.
FORM = "filter input must be in the form of filter=value: {} is invalid"
# A regular expression of these characters matches only itself: importing re would cost more than the listing.
_LITERAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-/:= ")


def split(entries: Iterable[str], *, message: str = 'invalid filter "{}"') -> dict[str, list[str]]:
    """Return the values of each filter in NAME=VALUE words. Raises InvalidSpec with ``message``."""
    found: dict[str, list[str]] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not equals:
            raise InvalidSpec("--filter", message.format(entry))
        found.setdefault(name, []).append(value)
    return found


def compile_filters(
    filters: Mapping[str, Sequence[str]], table: Mapping[str, Callable[[Sequence[str]], Test[Row]]]
) -> Test[Row]:
    """Return a test that a row passes when it passes every filter.

    Raises InvalidSpec for a filter that is not in ``table``.
    """
    tests: list[Test[Row]] = []
    for name, values in filters.items():
        if name not in table:
            raise InvalidSpec("--filter", f"{name} is an invalid filter")
        tests.append(table[name](values))
    return combine(tests)


def compile_prune_filters(entries: Sequence[str]) -> Callable[[Mapping[str, str], int], bool]:
    """Return the test of prune commands on the labels of an object and its time of creation. Raises InvalidSpec."""
    filters = split(entries, message=FORM)
    for name in filters:
        if name not in ("label", "label!", "until"):
            raise InvalidSpec("--filter", f"{name} is an invalid filter")
    labels, others = filters.get("label", ()), filters.get("label!", ())
    until_ns = moment_ns(filters["until"]) if "until" in filters else None

    def test(held: Mapping[str, str], created_ns: int) -> bool:
        if until_ns is not None and created_ns >= until_ns:
            return False
        return has_labels(labels, held) and not any(has_labels([one], held) for one in others)

    return test


def combine(tests: Sequence[Test[Row]]) -> Test[Row]:
    """Return a test that passes when all of ``tests`` pass."""
    return lambda row: all(test(row) for test in tests)


def matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return a test whether any of the regular expressions matches in a string; an invalid one never matches."""
    literal = [pattern for pattern in patterns if _LITERAL.issuperset(pattern)]
    if len(literal) == len(patterns):
        return lambda text: any(pattern in text for pattern in literal)
    import re

    compiled = []
    for pattern in patterns:
        try:
            compiled.append(re.compile(pattern))
        except re.error:
            continue
    return lambda text: any(pattern.search(text) for pattern in compiled)


def has_labels(wanted: Sequence[str], labels: Mapping[str, str]) -> bool:
    """Return whether there is a label for each of ``wanted``: KEY or KEY=VALUE, where * in KEY matches anything."""
    return all(_has_label(*entry.partition("=")[::2], labels) for entry in wanted)


def _has_label(key: str, value: str, labels: Mapping[str, str]) -> bool:
    if "*" not in key:
        return key in labels and value in ("", labels[key])
    from fnmatch import fnmatchcase

    return any(fnmatchcase(name, f"*{key}*") and value in ("", held) for name, held in labels.items())


def one_of(values: Sequence[str], allowed: Iterable[str], message: str) -> frozenset[str]:
    """Return the values as a set. Raises InvalidSpec with ``message`` for a value that is not ``allowed``."""
    known = frozenset(allowed)
    for value in values:
        if value not in known:
            raise InvalidSpec("--filter", message.format(value))
    return frozenset(values)


def moment_ns(values: Sequence[str]) -> int:
    """Return the time of an ``until`` filter in nanoseconds since the epoch. Raises InvalidSpec."""
    from time import time_ns

    from pypod.cli.flags.times import parse_moment_ns
    from pypod.cli.go.strconv import quote

    if len(values) != 1:
        raise InvalidSpec("--filter", "specify exactly one timestamp for until")
    try:
        return parse_moment_ns(values[0], time_ns())
    except ValueError as error:
        raise InvalidSpec("--filter", f"failed to parse value as time or duration: {quote(values[0])}") from error
