"""Parse podman's --userns, --uidmap and --gidmap."""

from __future__ import annotations

from pypod.errors import InvalidSpec
from pypod.kernel.abi import DIGITS_LIMIT
from pypod.kernel.idmap import ALL_IDS, RANGES_LIMIT
from pypod.model.namespace import Mode, parse_mode
from pypod.model.words import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pypod.kernel.idmap import Range

_KEYS = {"auto": ("size", "uidmapping", "gidmapping"), "keep-id": ("uid", "gid"), "nomap": ()}


def parse_userns(text: str) -> tuple[Mode, dict[str, list[str]]]:
    """Parse --userns; return the mode and its options, each a list of values. Raises InvalidSpec.

    >>> parse_userns("keep-id:uid=5,gid=6")
    (Mode(mode='keep-id', target='uid=5,gid=6'), {'uid': ['5'], 'gid': ['6']})
    """
    name, colon, rest = text.partition(":")
    if name not in _KEYS:
        if name not in ("host", "private", "pod", "container", "ns"):
            raise InvalidSpec("--userns", f"unrecognized namespace mode {text} passed")
        return parse_mode("user", text), {}
    found: dict[str, list[str]] = {}
    for word in rest.split(",") if colon else ():
        key, separator, value = word.partition("=")
        if key not in _KEYS[name] or not separator:
            raise InvalidSpec(
                "--userns", f'unknown option specified: "{key}"', hint=f"{name} takes {', '.join(_KEYS[name])}"
            )
        if "mapping" not in key and not is_id(value):
            raise InvalidSpec(
                "--userns",
                f"strconv.ParseUint: parsing {quoted(value)}: invalid syntax",
                hint=f"{key} of {name} is a number",
            )
        found.setdefault(key, []).append(value)
    return Mode(mode=name, target=rest), found


def is_id(text: str) -> bool:
    """Return whether a string is a plain number in the range of ids."""
    return text.isascii() and text.isdigit() and len(text) <= DIGITS_LIMIT and int(text) < ALL_IDS


def parse_mapping(text: str, kind: str) -> Range:
    """Parse INSIDE:OUTSIDE:COUNT. Raises InvalidSpec with podman's message.

    >>> parse_mapping("0:100000:65536", "uid")
    (0, 100000, 65536)
    """
    words = text.split(":")
    if len(words) != 3 or not all(map(is_id, words)) or int(words[2]) == 0:
        expected = f'expected ["uint32:uint32:uint32"]: ["{text}"]'
        raise InvalidSpec(f"--{kind}map", f"initializing ID mappings: {kind.upper()} setting is malformed {expected}")
    inside, outside, count = map(int, words)
    return inside, outside, count


def parse_mappings(texts: Iterable[str], kind: str, parent: Sequence[Range], argument: str = "") -> tuple[Range, ...]:
    """Return the map of --uidmap or --gidmap (``kind`` uid or gid), each ``[FLAGS]INSIDE:[@]OUTSIDE[:COUNT]``.

    Flags: ``u`` and ``g`` restrict a mapping to users or groups; ``+`` puts it above those before, and gives all ids of
    the parent namespace that are left to the lowest free ones. ``parent`` is the map of that namespace: @ denotes an id
    outside of it. Raises InvalidSpec naming ``argument``: without --uidmap, --gidmap serves for both.

    >>> parse_mappings(["+100:@1000"], "uid", ((0, 1000, 1), (1, 100000, 65536)))
    ((100, 0, 1), (0, 1, 100), (101, 101, 65436))
    """
    found: list[Range] = []
    given = [one for text in texts for one in _triples(text, kind, argument or f"--{kind}map")]
    own = [one for one in given if kind[0] in one[0] or not {"u", "g"}.intersection(one[0])]
    for flags, inside, outside, of_host, count in own:
        new = [(inside, outside, count)]
        if of_host:
            new = _of_host(new[0], kind, parent)
        found = [*(_without(found, new) if "+" in flags else found), *new]
    return _filled(found, parent) if not own or any("+" in one[0] for one in own) else tuple(found)


def _triples(text: str, kind: str, argument: str) -> Iterator[tuple[str, int, int, bool, int]]:
    """Yield flags, the inner id, the outer id, whether that is the host's, and the count."""
    words = text.split(":")
    words += ["1"] if len(words) == 2 else []
    if len(words) % 3:
        raise _malformed(text, kind, argument)
    for inside, outside, count in zip(words[::3], words[1::3], words[2::3], strict=True):
        number = inside.lstrip("+ug")
        numbers = (number, outside.removeprefix("@"), count)
        if (
            not all(map(is_id, numbers))
            or int(count) == 0
            or max(int(one) + int(count) for one in numbers[:2]) > ALL_IDS
        ):
            raise _malformed(text, kind, argument)
        yield inside[: -len(number)], int(number), int(numbers[1]), outside.startswith("@"), int(count)


def _malformed(text: str, kind: str, argument: str) -> InvalidSpec:
    expected = f'expected ["[+ug]uint32:[@]uint32[:uint32]"]: ["{text}"]'
    return InvalidSpec(argument, f"initializing ID mappings: {kind.upper()} setting is malformed {expected}")


def _of_host(one: Range, kind: str, parent: Sequence[Range]) -> list[Range]:
    """Return a map to ids of the host as one to ids of the parent namespace."""
    inside, outside, count = one
    found = []
    for first, out, length in parent:
        begin, end = max(outside, out), min(outside + count, out + length)
        if begin < end:
            found.append((inside + begin - outside, first + begin - out, end - begin))
    if sum(length for _, _, length in found) != count:
        message = f"--{kind}map: not all of the {count} ids from @{outside} on are yours"
        raise InvalidSpec(f"--{kind}map", message, hint=f"/etc/sub{kind} defines which there may be")
    return found


def _without(ranges: Iterable[Range], taken: Sequence[Range]) -> list[Range]:
    """Return a map without the ids that another uses on either side."""
    found = list(ranges)
    for inside, outside, count in taken:
        for side, first in ((0, inside), (1, outside)):
            found = [piece for one in found for piece in _cut(one, side, first, first + count)]
    return found


def _cut(one: Range, side: int, first: int, end: int) -> Iterator[Range]:
    inside, outside, count = one
    start = one[side]
    before = min(max(first - start, 0), count)
    after = min(max(start + count - end, 0), count)
    if before:
        yield inside, outside, before
    if after and before < count:
        yield inside + count - after, outside + count - after, after


def _filled(ranges: Sequence[Range], parent: Sequence[Range]) -> tuple[Range, ...]:
    """Return a map with all other ids of the parent namespace given to the lowest free ones."""
    used = [(outside, count) for _, outside, count in ranges]
    taken = [(inside, count) for inside, _, count in ranges]
    unknown = list(_gaps([(first, length) for first, _, length in parent], 0, ALL_IDS))
    left = list(_gaps([*used, *((begin, end - begin) for begin, end in unknown)], 0, ALL_IDS))
    found = list(ranges)
    for gap, end in _gaps(taken, 0, ALL_IDS):
        begin = gap
        while left and begin < end:
            first, last = left.pop(0)
            count = min(end - begin, last - first)
            found.append((begin, first, count))
            begin += count
            if first + count < last:
                left.insert(0, (first + count, last))
    return tuple(found)


def _gaps(used: Iterable[tuple[int, int]], first: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield what is free of a range, as (begin, end)."""
    for begin, count in sorted(used):
        if begin >= end:
            break
        if first < begin:
            yield first, begin
        first = max(first, begin + count)
    if first < end:
        yield first, end


def check_map(ranges: Sequence[Range], argument: str) -> None:
    """Raise InvalidSpec for a map that maps an id twice, on either side: the kernel would only return EINVAL."""
    for side in (0, 1):
        end = 0
        for one in sorted(ranges, key=lambda one: one[side]):
            if one[side] < end:
                raise InvalidSpec(argument, f"{argument}: id {one[side]} is mapped twice")
            end = one[side] + one[2]
    if len(ranges) > RANGES_LIMIT:
        raise InvalidSpec(
            argument, f"{argument}: the kernel accepts {RANGES_LIMIT} ranges, not {len(ranges)} (user_namespaces(7))"
        )
