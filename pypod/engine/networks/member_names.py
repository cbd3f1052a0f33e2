"""The names of a pod's running members in its /etc/hosts, which they share: each has a line of its own, as with podman.

Members can write to the file, so nothing in it is relied on but its being a file of ours.
"""

from __future__ import annotations

import fcntl
import os

from pypod.engine.core.effects import Effect
from pypod.kernel.descriptors import read_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_LIMIT_BYTES = 1 << 20


def added(hosts: str, name: str) -> Effect:
    """Return what adds a member to its pod's hosts file when it starts."""
    return Effect(f"add {name} to {hosts}", "hosts(5)", lambda: add(hosts, name), lambda: remove(hosts, name))


def add(hosts: str, *names: str) -> None:
    """Add members whose names the file does not have yet."""

    def more(lines: list[str]) -> list[str]:
        known = {word for line in lines for word in line.partition("#")[0].split()[1:]}
        return [*lines, *(_line(name) for name in names if name not in known)]

    _change(hosts, more)


def remove(hosts: str, name: str) -> None:
    """Remove a member; other lines that have its name stay."""
    _change(hosts, lambda lines: [line for line in lines if line != _line(name)])


def listed(hosts: str, names: Iterable[str]) -> list[str]:
    """Return those of ``names`` that have lines of their own in the file."""
    found: list[str] = []

    def look(lines: list[str]) -> list[str]:
        found.extend(name for name in names if _line(name) in lines)
        return lines

    _change(hosts, look)
    return found


def _line(name: str) -> str:
    return f"127.0.0.1\t{name}"


def _change(hosts: str, change: Callable[[list[str]], list[str]]) -> None:
    """Rewrite the file in place, since running members have this inode mounted; none if there is no such file."""
    try:
        fd = os.open(hosts, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        content = read_whole(fd, _LIMIT_BYTES)
        before = content.decode("utf-8", "surrogateescape").splitlines()
        after = change(before)
        if after != before and len(content) < _LIMIT_BYTES:
            new = "".join(f"{line}\n" for line in after).encode("utf-8", "surrogateescape")
            os.pwrite(fd, new, 0)
            os.ftruncate(fd, len(new))
    finally:
        os.close(fd)
