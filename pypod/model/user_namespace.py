"""Parse podman's --userns, --uidmap and --gidmap."""

from __future__ import annotations

from pypod.errors import InvalidSpec
from pypod.kernel.abi import DIGITS_LIMIT
from pypod.kernel.idmap import ALL_IDS, RANGES_LIMIT
from pypod.model.namespace import Mode, parse_mode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

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
                "--userns", f'unknown option specified: "{word}"', hint=f"{name} takes {', '.join(_KEYS[name])}"
            )
        if "mapping" not in key and not is_id(value):
            raise InvalidSpec("--userns", f"invalid {key} {value!r} of {name}: must be a number")
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
