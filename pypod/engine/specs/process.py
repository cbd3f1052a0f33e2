"""What a container's process runs with, checked: its variables, user, groups, capabilities and resource limits."""

from __future__ import annotations

from pypod.errors import InvalidSpec
from pypod.kernel.abi import DIGITS_LIMIT, RESOURCES
from pypod.kernel.capabilities import merge
from pypod.model.container import KEEP_GROUPS, Ulimit
from pypod.model.words import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def check_environment(environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the variables as pairs; raise InvalidSpec for an invalid name or value."""
    for name, value in environment.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise InvalidSpec("--env", f"invalid environment variable: {quoted(name)}")
    return tuple(environment.items())


def check_user(user: str) -> str:
    """Return ``user``; raise InvalidSpec if it is ambiguous: no spaces or signs, ids below 2^32 - 1."""
    for part in filter(None, user.split(":")):  # user or group may be empty
        number = part.lstrip("+-")
        if part != part.strip() or any(c.isspace() or c == "\0" for c in part):
            raise InvalidSpec("--user", f"invalid user {user!r}")
        is_number = number.isascii() and number.isdigit()
        if is_number and (part[0] in "+-" or len(number) > DIGITS_LIMIT or int(number) >= 2**32 - 1):
            raise InvalidSpec("--user", f"invalid user {user!r}: ids go from 0 to {2**32 - 2}")
    if user.count(":") > 1:
        raise InvalidSpec("--user", f"invalid user {user!r}: at most one colon")
    return user.removesuffix(":")


def groups_of(words: Sequence[str]) -> tuple[str, ...]:
    """Return the additional groups. Raises InvalidSpec for others beside keep-groups."""
    if KEEP_GROUPS in words and len(words) > 1:
        message = f"the '--group-add {KEEP_GROUPS}' option is not allowed with any other --group-add options"
        raise InvalidSpec("--group-add", message)
    return tuple(words)


def capabilities_of(base: Sequence[str], add: Sequence[str], drop: Sequence[str]) -> tuple[str, ...]:
    """Return the capabilities in ``base`` with those added and without those dropped. Raises InvalidSpec."""
    if not add and not drop:
        return tuple(sorted(base))
    for argument, names in (("--cap-add", add), ("--cap-drop", drop)):
        try:
            merge((), names, ())
        except InvalidSpec as error:
            raise InvalidSpec(argument, error.message) from None
    try:
        return merge(base, add, drop)
    except InvalidSpec as error:
        raise InvalidSpec("--cap-add", error.message) from None


def ulimits_of(words: Sequence[str]) -> tuple[Ulimit, ...]:
    """Parse --ulimit. Raises InvalidSpec."""
    limits = []
    for word in words:
        if word == "host":
            limits.append(Ulimit(name="host", soft=0, hard=0))
            continue
        try:
            limits.append(_ulimit(word))
        except ValueError as error:
            message = f"ulimit option {quoted(word)} requires name=SOFT:HARD, failed to be parsed: {error}"
            raise InvalidSpec("--ulimit", message) from None
    return tuple(limits)


def _ulimit(word: str) -> Ulimit:
    """Parse NAME=SOFT[:HARD]. Raises ValueError in podman's words (docker/go-units)."""
    name, separator, values = word.partition("=")
    if not separator:
        raise ValueError(f"invalid ulimit argument: {word}")
    if name.upper() not in RESOURCES:
        raise ValueError(f"invalid ulimit type: {name}")
    parts = values.split(":")
    if len(parts) > 2:
        raise ValueError(f"too many limit value arguments - {values}, can only have up to two, `soft[:hard]`")
    for part in parts:
        number = part.removeprefix("-")
        if not (number.isascii() and number.isdecimal()) or len(number) > DIGITS_LIMIT or int(part) < -1:
            raise ValueError(f"strconv.ParseInt: parsing {quoted(part)}: invalid syntax")
    soft, hard = int(parts[0]), int(parts[-1])
    if hard != -1 and (soft == -1 or soft > hard):
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return Ulimit(name=f"RLIMIT_{name.upper()}", soft=soft, hard=hard)
