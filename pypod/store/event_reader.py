"""Read the event log, and follow it while it grows and is rotated."""

from __future__ import annotations

import os
import time

from pypod.model import plain_json
from pypod.model.reports.event import CONTAINER, IMAGE, POD, VOLUME, Event
from pypod.store.event_log import LINE_LIMIT, old

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Self

    from pypod.kernel.watch import Watch

__all__ = ["Reader", "follow", "parse_line", "read"]

_CHUNK_BYTES = 1 << 16
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TEXTS = ("action", "id", "name", "image", "pod")
_TYPES = (CONTAINER, POD, IMAGE, VOLUME)
_TIME_LIMIT = 1 << 63
_LONGEST_WAIT_S = 3600.0
# Events from a supervisor: it was given the name when it started, and the container may have been renamed since.
_TOLD_LATER = ("died", "exec_died", "oom")
_RENAME = "rename"


def parse_line(data: bytes) -> Event | None:
    """Parse one line without its newline; return None if it is empty, cut short, or not of our making."""
    if len(data) > LINE_LIMIT or not data.startswith(b"{"):
        return None
    try:
        found = plain_json.loads(data)
    except (ValueError, RecursionError):
        return None
    moment, code, labels = found.get("time"), found.get("exit_code"), found.get("attributes")
    if not (_is_number(moment) and 0 <= moment < _TIME_LIMIT and (code is None or _is_number(code))):
        return None
    if found.get("type") not in _TYPES or not all(isinstance(found.get(name), str) for name in _TEXTS):
        return None
    if not (isinstance(labels, dict) and all(isinstance(value, str) for value in labels.values())):
        return None
    return Event(
        time_ns=moment,
        type=found["type"],
        action=found["action"],
        id=found["id"],
        name=found["name"],
        image=found["image"],
        pod_id=found["pod"],
        exit_code=code,
        attributes=tuple(sorted(labels.items())),
    )


def _is_number(value: Any) -> bool:
    return type(value) is int  # True does not count as a number


class _Generation:
    """One file, and the beginning of a line whose end is not written yet."""

    __slots__ = ("fd", "identity", "rest")

    def __init__(self, fd: int, identity: tuple[int, int]) -> None:
        self.fd = fd
        self.identity = identity
        self.rest = b""

    def events(self, containing: bytes = b"") -> Iterator[Event]:
        while data := os.read(self.fd, _CHUNK_BYTES):
            *lines, self.rest = (self.rest + data).split(b"\n")
            if len(self.rest) > LINE_LIMIT:  # none of ours is that long: mark the rest of it as invalid, too
                self.rest = b"-"
            for one in lines:
                event = parse_line(one) if containing in one else None
                if event is not None:
                    yield event


class Reader:
    """The events at ``path``, oldest first; each call of ``events`` yields what was added since.

    Containers have the name that they had at the time of the event. With ``at_end``, existing events are left out.
    Close it, or use it as a context manager.
    """

    def __init__(self, path: str, *, at_end: bool = False) -> None:
        self._files: list[_Generation] = []
        self._path = path
        self._names: dict[str, str] = {}  # of containers that were renamed
        self._look()
        if at_end:
            for one in self._files:
                for event in one.events(containing=_RENAME.encode()):
                    self._named(event)

    def _named(self, event: Event) -> Event:
        if event.type == CONTAINER and event.action == _RENAME:
            self._names[event.id] = event.name
        elif event.action in _TOLD_LATER and event.id in self._names:
            return event.replace(name=self._names[event.id])
        return event

    def _look(self) -> list[tuple[int, int]]:
        """Open the generations that we do not have yet, older first; return the identities of those that exist."""
        there: list[tuple[int, int]] = []
        known = {one.identity for one in self._files}
        # twice: between the two lookups of the first round, the newer may have become the older
        for path in (old(self._path), self._path, old(self._path), self._path):
            try:
                fd = os.open(path, _FLAGS)
            except FileNotFoundError:
                continue
            status = os.fstat(fd)
            identity = (status.st_dev, status.st_ino)
            there.append(identity)
            if identity in known:
                os.close(fd)
            else:
                known.add(identity)
                self._files.append(_Generation(fd, identity))
        return there

    def events(self) -> Iterator[Event]:
        """Yield the events that were added since the last call."""
        there = self._look()
        for one in list(self._files):
            for event in one.events():
                yield self._named(event)
            if one.identity not in there:  # rotated away; it cannot be opened any more, and we have read all of it
                self._files.remove(one)
                os.close(one.fd)

    def close(self) -> None:
        """Close the files."""
        while self._files:
            os.close(self._files.pop().fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def read(path: str) -> Iterator[Event]:
    """Yield the existing events."""
    with Reader(path) as reader:
        yield from reader.events()


def follow(path: str, *, at_end: bool, until_ns: int | None) -> Iterator[Event]:
    """Yield events as they come, without end or until a point in time; with ``at_end``, only those from this call on.

    Raises OSError when changes cannot be watched.
    """
    from pypod.kernel.watch import Watch

    watch = Watch(os.path.dirname(path))  # before the first lookup: nothing in between is missed
    return _follow(watch, Reader(path, at_end=at_end), until_ns)


def _follow(watch: Watch, reader: Reader, until_ns: int | None) -> Iterator[Event]:
    with watch, reader:
        while True:
            yield from reader.events()
            left_s = None if until_ns is None else (until_ns - time.time_ns()) / 1_000_000_000
            if left_s is not None and left_s <= 0:
                return
            watch.wait(None if left_s is None else min(left_s, _LONGEST_WAIT_S))
