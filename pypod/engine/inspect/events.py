"""Past and future events of pods, containers, images and volumes: podman events."""

from __future__ import annotations

import os

from pypod.engine.core.boundary import Boundary
from pypod.engine.core.context import NO_EVENTS
from pypod.errors import InvalidSpec
from pypod.model.reports.event import CONTAINER, IMAGE, POD, VOLUME, Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pypod.engine.core.context import Context

    Test = Callable[[Event, str], bool]

__all__ = ["Event", "events"]


def _named(kind: str) -> Test:
    return lambda event, value: event.type == kind and (event.name == value or event.id.startswith(value))


# As podman's libpod/events/filters.go. A volume has no id.
_TESTS: dict[str, Test] = {
    "container": _named(CONTAINER),
    "event": lambda event, value: event.action == value,
    "image": _named(IMAGE),
    "label": lambda event, value: tuple(value.partition("=")[::2]) in event.attributes and "=" in value,
    "pod": _named(POD),
    "status": lambda event, value: event.action == value,
    "type": lambda event, value: event.type == value,
    "volume": _named(VOLUME),
}


def events(
    context: Context,
    since: int | None = None,
    until: int | None = None,
    *,
    filters: Mapping[str, str | Sequence[str]] | None = None,
    follow: bool = False,
) -> Iterator[Event]:
    """Yield the events of a storage; see ``pypod.events``."""
    test = compile_filters(filters or {})
    from pypod.store import event_reader

    if context.event_file == os.devnull:
        raise InvalidSpec("--events-backend", f'cannot read events with the "{NO_EVENTS}" backend')
    with Boundary("read events"):
        if follow:
            found = event_reader.follow(context.event_file, at_end=since is None and until is None, until_ns=until)
        else:
            found = event_reader.read(context.event_file)
    return _passing(found, lambda event: _is_between(event, since, until) and test(event))


def _passing(found: Iterator[Event], test: Callable[[Event], bool]) -> Iterator[Event]:
    with Boundary("read events"):
        for event in found:
            if test(event):
                yield event


def _is_between(event: Event, since: int | None, until: int | None) -> bool:
    return (since is None or event.time_ns > since) and (until is None or event.time_ns < until)


def compile_filters(filters: Mapping[str, str | Sequence[str]]) -> Callable[[Event], bool]:
    """Return the test that an event must pass. Raises InvalidSpec."""
    wanted: list[tuple[Test, tuple[str, ...]]] = []
    for name, values in filters.items():
        test = _TESTS.get(name.lower())
        if test is None:
            raise InvalidSpec("--filter", f"{name} is an invalid filter")
        wanted.append((test, (values,) if isinstance(values, str) else tuple(values)))
    return lambda event: all(any(test(event, value) for value in values) for test, values in wanted)
