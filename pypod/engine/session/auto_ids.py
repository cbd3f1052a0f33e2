"""The ids of --userns=auto: for each container or pod a range that no other one uses."""

from __future__ import annotations

import os

from pypod.engine.core.locks import Lock
from pypod.engine.session import session
from pypod.engine.session.id_maps import SUBORDINATE
from pypod.engine.session.userns_options import subordinate
from pypod.errors import InvalidSpec
from pypod.model.user_namespace import check_map, is_id, parse_mapping, parse_userns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, TypeVar

    from pypod.engine.core.context import Context
    from pypod.kernel.idmap import Range
    from pypod.model.container import ContainerSpec
    from pypod.model.pod import PodSpec

    S = TypeVar("S", ContainerSpec, PodSpec)
    T = TypeVar("T")

_USER = "containers"  # whose ids are allocated: podman's name
_SIZE, _SIZE_LIMIT = 1024, 65536  # containers-storage.conf(5), auto-userns-min-size and -max-size
_FILE_BYTES_LIMIT = 1 << 20


def given(context: Context, spec: S, write: Callable[[S], T]) -> T:
    """Allocate the ids of ``auto`` to a container or pod and store them by ``write``, with the allocation locked."""
    with Lock(context.layout.giving_ids) as lock, lock:
        return write(allocated(context, spec))


def allocated(context: Context, spec: S) -> S:
    """Return the specification of a container or pod with ids for ``auto`` that no other ``auto`` uses.

    Raises InvalidSpec when there are not enough.
    """
    if spec.user_namespace.mode != "auto":
        return spec
    _, options = parse_userns(str(spec.user_namespace))
    given = {kind: [parse_mapping(text, kind) for text in options.get(f"{kind}mapping", ())] for kind in SUBORDINATE}
    size = int(options["size"][-1]) if "size" in options else _size_for(context, spec)
    taken = _taken(context)
    maps = {}
    for side, kind in enumerate(SUBORDINATE):
        named = [(first, count) for _, first, count in given[kind]]
        free = _without(_to_give(context, kind), [one[side] for one in taken] + [named])
        inside = _without([(0, size)], [[(first, count) for first, _, count in given[kind]]])
        maps[f"{kind}_map"] = tuple(given[kind]) + _fill(inside, free, kind)
        check_map(maps[f"{kind}_map"], "--userns")
    return spec.replace(**maps)


def _to_give(context: Context, kind: str) -> list[tuple[int, int]]:
    own = session.of(context)
    if own is not None:
        return [(1, (own.uids if kind == "uid" else own.gids) - 1)]
    path = SUBORDINATE[kind]
    found = list(subordinate(_USER, path))
    if not found:
        message = f'cannot find mappings for user "{_USER}": no ranges found for user "{_USER}" in {path}'
        hint = f"a line {_USER}:2147483647:2147483648 in /etc/subuid and /etc/subgid provides them"
        raise InvalidSpec("--userns", message, hint=hint)
    return found


def _taken(context: Context) -> list[tuple[list[tuple[int, int]], list[tuple[int, int]]]]:
    """Return the (first, count) of users and groups allocated to containers and pods by ``auto``."""
    from pypod.store import records

    specs: list[Any] = [
        context.container_spec(one) for one in records.all_containers(context.database) if one.has_auto_ids
    ]
    specs += [context.pod_spec(one) for one in records.all_pods(context.database) if one.has_auto_ids]
    maps = [(one.uid_map, one.gid_map) for one in specs]
    return [([one[1:] for one in uids], [one[1:] for one in gids]) for uids, gids in maps]


def _without(ranges: Iterable[tuple[int, int]], taken: Iterable[Iterable[tuple[int, int]]]) -> list[tuple[int, int]]:
    """Return what remains of ranges (first, count).

    >>> _without([(0, 10)], [[(2, 3)]])
    [(0, 2), (5, 5)]
    """
    left = list(ranges)
    for first, count in (one for several in taken for one in several):
        pieces = []
        for begin, length in left:
            end = begin + length
            pieces += [(begin, min(end, first) - begin), (max(begin, first + count), end - max(begin, first + count))]
        left = [piece for piece in pieces if piece[1] > 0]
    return left


def _fill(inside: Sequence[tuple[int, int]], free: Sequence[tuple[int, int]], kind: str) -> tuple[Range, ...]:
    """Map each range inside to a free one, which must be as long."""
    left, found = list(free), []
    for first, count in inside:
        at = next((i for i, (_, length) in enumerate(left) if length >= count), -1)
        if at < 0:
            hint = f"--userns=auto:size=N asks for fewer; {SUBORDINATE[kind]} defines how many there are"
            raise InvalidSpec("--userns", "could not find enough available IDs", hint=hint)
        found.append((first, left[at][0], count))
        left[at] = (left[at][0] + count, left[at][1] - count)
    return tuple(found)


def _size_for(context: Context, spec: ContainerSpec | PodSpec) -> int:
    """Return how many ids an image needs: podman's minimum, or enough for the highest in its passwd and group files."""
    user = getattr(spec, "user", "")
    etc = [f"{context.layout.image_layers}/{name}/etc" for name in getattr(spec, "layers", ())]
    highest = max((int(part) for part in user.split(":") if is_id(part)), default=0)
    for name, fields_of_id in (("passwd", (2, 3)), ("group", (2,))):
        text = next(filter(None, (_read_hostile(directory, name) for directory in etc)), "")
        for line in text.splitlines():
            words = line.split(":")
            numbers = [int(words[at]) for at in fields_of_id if at < len(words) and is_id(words[at])]
            highest = max([highest, *(number for number in numbers if number < _SIZE_LIMIT - 2)])
    return max(_SIZE, highest + 1)


def _read_hostile(directory: str, name: str) -> str:
    """Return the text of a regular file of reasonable size from an untrusted image, empty when there is none."""
    import stat

    try:
        parent = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    except OSError:
        return ""
    finally:
        os.close(parent)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return file.read(_FILE_BYTES_LIMIT).decode("utf-8", "replace")
