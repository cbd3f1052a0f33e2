"""The filters of ``volume ls`` and ``volume prune`` (podman-volume-ls(1), --filter)."""

from __future__ import annotations

from pypod.cli.flags.filters import FORM, combine, has_labels, moment_ns, split
from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pypod.api.engine import Engine
    from pypod.model.volume import VolumeRecord

    Test = Callable[[VolumeRecord], bool]

__all__ = ["compile_volume_filters"]

_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def compile_volume_filters(entries: Sequence[str], engine: Engine) -> Test:
    """Return the test that a volume must pass: one value of each filter, and all labels. Raises InvalidSpec.

    These are the rules of podman 5; podman 4 takes a volume that passes any one of several filters.
    """
    tests: list[Test] = []
    for name, values in split(entries, message=FORM).items():
        if name == "until":
            tests.append(_until(values))
        elif name == "dangling":
            tests.append(_any([_dangling(engine, value) for value in values]))
        elif name in _LABELS:
            tests += [_LABELS[name](value) for value in values]
        elif name in _TABLE:
            tests.append(_any([_TABLE[name](value) for value in values]))
        else:
            raise InvalidSpec("--filter", f'"{name}" is an invalid volume filter')
    return combine(tests)


def _any(tests: Sequence[Test]) -> Test:
    return lambda one: any(test(one) for test in tests)


def _name(value: str) -> Test:
    from pypod.cli.flags.filters import matcher

    if not _is_pattern(value):
        raise InvalidSpec("--filter", f"error parsing regexp: `{value}`")
    matches = matcher([value])
    return lambda one: matches(one.name)


def _is_pattern(text: str) -> bool:
    if text.isalnum():
        return True
    import re

    try:
        re.compile(text)
    except re.error:
        return False
    return True


def _option(value: str) -> Test:
    key, equals, wanted = value.partition("=")

    def test(one: VolumeRecord) -> bool:
        options = one.option_map()
        return key in options and (not equals or options[key] == wanted)

    return test


def _until(values: Sequence[str]) -> Test:
    moment = moment_ns(values)
    return lambda one: one.created_ns < moment


def _dangling(engine: Engine, value: str) -> Test:
    """Test whether no container uses a volume."""
    if value not in _TRUTHS:
        message = f'"{value}" is not a valid value for the "dangling" filter - must be true or false'
        raise InvalidSpec("--filter", message)
    used = engine.volumes.used()
    return lambda one: (one.name not in used) == _TRUTHS[value]


_LABELS: dict[str, Callable[[str], Test]] = {
    "label": lambda value: lambda one: has_labels([value], one.label_map()),
    "label!": lambda value: lambda one: not has_labels([value], one.label_map()),
}
_TABLE: dict[str, Callable[[str], Test]] = {
    "driver": lambda value: lambda one: one.driver == value,
    "name": _name,
    "opt": _option,
    "scope": lambda value: lambda _: value == "local",
}
