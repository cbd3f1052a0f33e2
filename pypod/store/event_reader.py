"""Read the file of events, and go on reading while it grows and is rotated."""

from __future__ import annotations

import os
import time

from pypod.model import plain_json
from pypod.model.event import CONTAINER, IMAGE, POD, Event
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
_TIME_LIMIT = 1 << 63
_LONGEST_WAIT_S = 3600.0
# What a supervisor tells: it was told the name when it was started, and the container may be renamed meanwhile.
_TOLD_LATER = ("died", "exec_died", "oom")
_RENAME = "rename"


def parse_line(data: bytes) -> Event | None:
    """Read one line without its newline; None for what is none: empty, cut short, or not of our making."""
    if len(data) > LINE_LIMIT or not data.startswith(b"{"):
        return None
    try:
        found = plain_json.loads(data)
    except (ValueError, RecursionError):
        return None
    moment, code, labels = found.get("time"), found.get("exit_code"), found.get("attributes")
    if not (_is_number(moment) and 0 <= moment < _TIME_LIMIT and (code is None or _is_number(code))):
        return None
    if found.get("type") not in (CONTAINER, POD, IMAGE) or not all(isinstance(found.get(name), str) for name in _TEXTS):
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
    return type(value) is int  # True is no number here


class _Generation:
    """One file, and what was read of a line whose end has not come yet."""

    __slots__ = ("fd", "identity", "rest")

    def __init__(self, fd: int, identity: tuple[int, int]) -> None:
        self.fd = fd
        self.identity = identity
        self.rest = b""

    def events(self, containing: bytes = b"") -> Iterator[Event]:
        while data := os.read(self.fd, _CHUNK_BYTES):
            *lines, self.rest = (self.rest + data).split(b"\n")
            if len(self.rest) > LINE_LIMIT:  # none of ours is as long: what is left of it is nothing either
                self.rest = b"-"
            for one in lines:
                event = parse_line(one) if containing in one else None
                if event is not None:
                    yield event


class Reader:
    """The events at ``path``, the oldest first; each call of ``events`` yields what has come in since.

    A container has the name that it had at the moment of the event. With ``at_end`` those that are there already are
    left out. Close it, or use it as a context manager.
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
        """Open the generations that we do not have yet, the older first; return which there are."""
        there: list[tuple[int, int]] = []
        known = {one.identity for one in self._files}
        # twice: between the two looks of the first round the one may have become the other
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
        """Yield what has come in since the last time."""
        there = self._look()
        for one in list(self._files):
            for event in one.events():
                yield self._named(event)
            if one.identity not in there:  # rotated away; nobody can find it any more, and we have all of it
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
    """Yield the events that are there."""
    with Reader(path) as reader:
        yield from reader.events()


def follow(path: str, *, at_end: bool, until_ns: int | None) -> Iterator[Event]:
    """Yield events as they come, without end or until a moment; with ``at_end`` those from this call on.

    Raises OSError when nobody can be told of changes.
    """
    from pypod.kernel.watch import Watch

    watch = Watch(os.path.dirname(path))  # before the first look: what comes in between is not missed
    return _follow(watch, Reader(path, at_end=at_end), until_ns)


def _follow(watch: Watch, reader: Reader, until_ns: int | None) -> Iterator[Event]:
    with watch, reader:
        while True:
            yield from reader.events()
            left_s = None if until_ns is None else (until_ns - time.time_ns()) / 1_000_000_000
            if left_s is not None and left_s <= 0:
                return
            watch.wait(None if left_s is None else min(left_s, _LONGEST_WAIT_S))
