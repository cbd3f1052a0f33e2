"""Parsers for option values: Python values, or strings in podman's notation.

A parser returns the value as the field stores it. It raises Unfit for a type that the option does not accept, and
ValueError, with podman's message, for a string that it cannot parse.
"""

from __future__ import annotations

import math
import operator
import os
from _collections_abc import Iterable, Mapping, Sequence

from pypod.model.health import Healthcheck
from pypod.model.mount import Mount
from pypod.model.port import Port, parse_ports
from pypod.model.secret import SecretUse, parse_use
from pypod.model.words import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SHM_UNITS = {"b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "": 1}


class Unfit(Exception):
    """A value's type is not accepted. The message is the accepted type, the hint how to write the value."""

    def __init__(self, expected: str, hint: str = "") -> None:
        super().__init__(expected)
        self.hint = hint


# readers by type
def text(value: object) -> str:
    """Accept a string."""
    if not isinstance(value, str):
        raise Unfit("a string")
    return value


def boolean(value: object) -> bool:
    """Accept True or False."""
    if not isinstance(value, bool):
        raise Unfit("True or False")
    return value


def whole(value: object) -> int:
    """Accept an integer, of any class with ``__index__``."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise Unfit("a whole number")
    return operator.index(value)


def texts(value: object) -> tuple[str, ...]:
    """Accept a list of strings, but not a string, which would become a list of letters."""
    found = _items(value)
    if not all(isinstance(one, str) for one in found):
        raise Unfit("a list of strings")
    return found


def pairs(value: object) -> dict[str, str]:
    """Accept a mapping of strings to strings."""
    if not isinstance(value, Mapping):
        raise Unfit("a mapping of strings")
    for name, one in value.items():
        if not isinstance(name, str) or not isinstance(one, str):
            hint = f"write {str(name)!r}: {str(one)!r}" if isinstance(one, int | float) else ""
            raise Unfit("a mapping of strings", hint)
    return dict(value)


def _items(value: object) -> tuple[Any, ...]:
    if isinstance(value, str):
        raise Unfit("a list of strings", f"write [{value!r}]")
    if isinstance(value, bytes | Mapping) or not isinstance(value, Iterable):
        raise Unfit("a list of strings")
    return tuple(value)


def text_or_texts(value: object) -> str | tuple[str, ...]:
    """Accept a string, or a list of strings."""
    return value if isinstance(value, str) else texts(value)


def text_or_whole(value: object) -> str | int:
    """Accept a string or an integer."""
    return value if isinstance(value, str) else _or(whole, value, "a string or a whole number")


def _or(read: Callable[[Any], Any], value: object, expected: str) -> Any:
    try:
        return read(value)
    except Unfit as error:
        raise Unfit(expected, error.hint) from None


def _or_none(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


READERS: dict[str, Callable[[Any], Any]] = {
    "bool": boolean,
    "int": whole,
    "str": text,
    "str | int": text_or_whole,
    "str | Sequence[str]": text_or_texts,
    "Mapping[str, str]": pairs,
    "Sequence[str]": texts,
}
READERS |= {f"{kind} | None": _or_none(read) for kind, read in READERS.items()}


# options that accept podman's notation, or equivalent values of other types


def path(value: str | os.PathLike[str]) -> str:
    """Accept a path: a string, or a Path."""
    found = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(found, str):
        raise Unfit("a path")
    return found


def paths(value: Sequence[str | os.PathLike[str]]) -> tuple[str, ...]:
    """Accept a list of strings and Paths."""
    return tuple(_or(path, one, "a list of strings") for one in _items(value))


def words(value: str | Sequence[str | os.PathLike[str]] | None) -> str | tuple[str, ...] | None:
    """Accept a command: a string, or a list of strings."""
    return value if isinstance(value, str) or value is None else paths(value)


def user(value: str | int) -> str:
    """Accept a user, by name or number."""
    return str(text_or_whole(value))


def users(value: Sequence[str | int]) -> tuple[str, ...]:
    """Accept names or numbers of groups."""
    return tuple(_or(user, one, "a list of strings or numbers") for one in _items(value))


def number(value: float | str) -> float:
    """Accept a number, or a string with one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Unfit("a number")
    try:
        found = float(value)
    except ValueError:
        raise Unfit("a number") from None
    if not math.isfinite(found):
        raise Unfit("a number")
    return found


def memory(value: int | str) -> int:
    """Accept a number of bytes, or podman's notation: 64m, 1.5g."""
    if not isinstance(value, str):
        return _or(whole, value, _SIZE)  # type: ignore[no-any-return]
    try:
        return ram_bytes(value)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"invalid value for memory: {error}") from None


def swap(value: int | str) -> int:
    """Accept a number of bytes, or -1 for no limit."""
    return -1 if value == "-1" else memory(value)


def shm(value: int | str | None, flag: str = "--shm-size") -> int | None:
    """Accept a size of /dev/shm: a number of bytes, or one with a unit of b, k, m or g (1024s)."""
    if value is None:
        return None
    if not isinstance(value, str):
        return _or(whole, value, _SIZE)  # type: ignore[no-any-return]
    if value.count(".") > 1:
        digits = quoted(value.rstrip("bBkKmMgGtTpPiI "))
        raise ValueError(f"unable to translate {flag}: strconv.ParseFloat: parsing {digits}: invalid syntax")
    lowered = value.lower().removesuffix("b") if value[-2:].lower() in ("kb", "mb", "gb") else value.lower()
    unit = lowered[-1:] if lowered[-1:] in _SHM_UNITS and lowered[-1:] else ""
    try:
        found = float(lowered[: len(lowered) - len(unit)]) * _SHM_UNITS[unit]
    except ValueError:
        raise ValueError(f"unable to translate {flag}: invalid size: {value!r}") from None
    if not 0 <= found < 2**63:
        raise ValueError(f"unable to translate {flag}: invalid size: {value!r}")
    return int(found)


def shm_systemd(value: int | str | None) -> int | None:
    """Accept a size of the tmpfs mounts that systemd gets."""
    return shm(value, "--shm-size-systemd")


def umask(value: int | str) -> int:
    """Accept a umask: a number, or a string of up to four octal digits."""
    if isinstance(value, str):
        found = int(value, 8) if 0 < len(value) <= 4 and set(value) <= set("01234567") else -1
    else:
        found = whole(value)
    if not 0 <= found <= 0o7777:
        raise ValueError(f"running container create option: invalid umask string {value}: invalid argument")
    return found


def systemd(value: str | bool) -> str:
    """Accept true, false or always."""
    found = str(value).lower() if isinstance(value, bool) else text(value).lower()
    if found not in ("true", "false", "always"):
        problem = '--systemd values must be one of "true, false, always"'
        raise ValueError(f"invalid config provided: {problem}: invalid configuration")
    return found


def ports(value: Sequence[str | int | Port] | Mapping[str | int, str | int]) -> tuple[Port, ...]:
    """Accept ports: strings as in podman's --publish, numbers, or a mapping from host to container ports."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise Unfit("a list of strings, numbers and ports, or a mapping from host ports")
    return parse_ports(value)


def mounts(value: Sequence[Mount]) -> tuple[Mount, ...]:
    """Accept mounts."""
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise Unfit("a list of pypod.Mount")
    found = tuple(value)
    if not all(isinstance(one, Mount) for one in found):
        raise Unfit("a list of pypod.Mount")
    return found


def secrets(value: Sequence[str]) -> tuple[SecretUse, ...]:
    """Accept strings in podman's notation, and what they were parsed to."""
    return tuple(parse_use(text(one)) if not isinstance(one, SecretUse) else one for one in _items(value))


def healthcheck(value: Healthcheck | None) -> Healthcheck | None:
    """Accept a health check."""
    if value is not None and not isinstance(value, Healthcheck):
        raise Unfit("a pypod.Healthcheck", 'write pypod.Healthcheck(test=("CMD", "true"))')
    return value


def rates(value: Mapping[str, int | str]) -> dict[str, int]:
    """Accept numbers by device path; a number may be a string with a unit."""
    expected = "a mapping from devices to numbers"
    if not isinstance(value, Mapping):
        raise Unfit(expected)
    found = {}
    for device, one in value.items():
        try:
            found[path(device)] = ram_bytes(one) if isinstance(one, str) else whole(one)
        except (ValueError, OverflowError, Unfit):
            raise Unfit(expected) from None
    return found


_SIZE = "a number of bytes, or a string such as '64m'"


def ram_bytes(text: str) -> int:
    """Parse a size as docker/go-units' RAMInBytes does: 1024s, ``1.5g``, ``32MiB``, ``100 kb``. Raises ValueError."""
    number = text.lower().removesuffix("b").removesuffix("i") if text[-1:] in "bB" else text.lower()
    power = "bkmgtp".find(number[-1:]) if number[-1:].isalpha() else 0
    digits = number[:-1].removesuffix(" ") if power > 0 else number.removesuffix(" ")
    if power < 0 or not digits or not all(char in "0123456789." for char in digits) or digits.count(".") > 1:
        raise ValueError(f"invalid size: '{text}'")
    if digits[0] == "." or digits[-1] == ".":
        raise ValueError(f"invalid size: '{text}'")
    return int(float(digits) * 1024**power)
