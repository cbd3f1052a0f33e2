"""Subordinate ids (subuid(5), subgid(5)), and the maps of user namespaces."""

from __future__ import annotations

import os

from pypod.kernel.proc import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    # first id inside a namespace, first id in its parent, count
    Range = tuple[int, int, int]

ALL_IDS = 2**32 - 1
RANGES_LIMIT = 340  # user_namespaces(7)
_FIRST_NAMESPACE = 0xEFFFFFFD  # inode of the initial one: PROC_USER_INIT_INO in include/linux/proc_ns.h


def parse_map(text: str) -> tuple[Range, ...]:
    """Parse /proc/PID/uid_map or gid_map (user_namespaces(7)).

    >>> parse_map("         0       1000          1\\n")
    ((0, 1000, 1),)
    """
    rows = (line.split() for line in text.splitlines())
    return tuple((int(row[0]), int(row[1]), int(row[2])) for row in rows if len(row) == 3)


def is_whole(ranges: Iterable[Range]) -> bool:
    """Return whether a map is that of the initial user namespace: the identity for every id."""
    return tuple(ranges) == ((0, 0, ALL_IDS),)


def count_from_zero(ranges: Iterable[Range]) -> int:
    """Return how many consecutive ids from 0 on a namespace has.

    >>> count_from_zero([(0, 1000, 1), (1, 100000, 65536)])
    65537
    """
    count = 0
    for inside, _, length in sorted(ranges):
        if inside != count:
            break
        count += length
    return count


def root_of(ranges: Iterable[Range]) -> int:
    """Return the id that owns what has no particular owner: 0, or the lowest in a namespace without 0.

    >>> root_of([(0, 1000, 1)]), root_of([(1000, 0, 1)])
    (0, 1000)
    """
    return min((inside for inside, _, _ in ranges), default=0)


def has(ranges: Iterable[Range], one: int) -> bool:
    """Return whether an id is mapped inside the namespace.

    >>> has([(0, 100000, 10)], 9), has([(0, 100000, 10)], 10)
    (True, False)
    """
    return any(inside <= one < inside + count for inside, _, count in ranges)


def outside(ranges: Iterable[Range], one: int) -> int:
    """Translate an id inside the namespace to the one outside; unchanged when it is not mapped.

    >>> outside([(0, 100000, 10)], 3)
    100003
    """
    found = (first + one - inside for inside, first, count in ranges if inside <= one < inside + count)
    return next(found, one)


def inside(ranges: Iterable[Range], one: int) -> int | None:
    """Translate an id outside of the namespace to the one inside, None when it is not mapped.

    >>> inside([(0, 100000, 10)], 100003), inside([(0, 100000, 10)], 3)
    (3, None)
    """
    return next((first + one - out for first, out, count in ranges if out <= one < out + count), None)


def lines(ranges: Iterable[Range]) -> str:
    """Return a map in the format of uid_map and gid_map.

    >>> lines([(0, 100000, 65536)])
    '0 100000 65536\\n'
    """
    return "".join(f"{inside} {outside} {count}\n" for inside, outside, count in ranges)


def within(ranges: Iterable[Range], around: Iterable[Range]) -> tuple[Range, ...]:
    """Return a map split at the boundaries of the parent namespace's ranges.

    Each line must lie within one of these (map_write in kernel/user_namespace.c). Unmapped ids are dropped.

    >>> within([(0, 0, 10)], [(0, 1000, 1), (1, 100000, 65536)])
    ((0, 0, 1), (1, 1, 9))
    """
    found = []
    for inside, outside, count in ranges:
        for first, _, length in sorted(around):
            begin, end = max(outside, first), min(outside + count, first + length)
            if begin < end:
                found.append((inside + begin - outside, begin, end - begin))
    return tuple(found)


def parse_subordinate(text: str, name: str, uid: int) -> tuple[tuple[int, int], ...]:
    """Return the (first id, count) that a subuid or subgid file assigns to a user, by name or number.

    >>> parse_subordinate("ana:100000:65536\\n1000:300000:10\\nbob:1:1\\n", "ana", 1000)
    ((100000, 65536), (300000, 10))
    """
    found = []
    for line in text.splitlines():
        owner, _, rest = line.strip().partition(":")
        first, _, count = rest.partition(":")
        if owner not in (name, str(uid)) or not (_is_number(first) and _is_number(count)):
            continue
        if int(count) > 0 and int(first) > 0 and int(first) + int(count) <= ALL_IDS:
            found.append((int(first), int(count)))
    return tuple(found)


def first_free(texts: Iterable[str]) -> int:
    """Return the first id above all ranges of these subuid and subgid files; useradd's first when they are empty.

    >>> first_free(["ana:100000:65536\\n", ""])
    165536
    """
    found = 100_000
    for line in (line for text in texts for line in text.splitlines()):
        first, _, count = line.strip().partition(":")[2].partition(":")
        if _is_number(first) and _is_number(count) and int(first) + int(count) <= ALL_IDS // 2:
            found = max(found, int(first) + int(count))
    return found


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def session_map(own: int, subordinate: Iterable[tuple[int, int]]) -> tuple[Range, ...]:
    """Return podman's map for a user: their own id becomes root, the subordinate ones follow from 1 on.

    Overlapping lines count once, since no id may be mapped twice; ranges beyond the kernel's limit are dropped.

    >>> session_map(1000, [(100000, 65536), (100000, 65536)])
    ((0, 1000, 1), (1, 100000, 65536))
    """
    ranges, inside = [(0, own, 1)], 1
    for first, count in subordinate:
        if any(first < begin + length and begin < first + count for _, begin, length in ranges):
            continue
        if len(ranges) == RANGES_LIMIT:
            break
        ranges.append((inside, first, count))
        inside += count
    return tuple(ranges)


def in_user_namespace() -> bool:
    """Return whether this process is not root of the whole machine: a user, or root of a user namespace."""
    if os.geteuid() != 0:
        return True
    # one stat instead of reading two files: a start calls this several times
    return os.stat("/proc/self/ns/user").st_ino != _FIRST_NAMESPACE and not is_whole(maps_of()[0])


def maps_of(pid: int | str = "self", root: str = "/proc") -> tuple[tuple[Range, ...], tuple[Range, ...]]:
    """Return the uid and gid maps of the user namespace of a process, with outer ids as the caller sees them."""
    return parse_map(read_text(f"{root}/{pid}/uid_map")), parse_map(read_text(f"{root}/{pid}/gid_map"))
