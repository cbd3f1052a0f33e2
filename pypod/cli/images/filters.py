"""The filters of ``images`` and ``image prune`` (podman-images(1), --filter).

Values of one filter are alternatives, different filters must all match, and ``NAME!=VALUE`` negates. The errors are
those of podman 4.3.1 (containers/common 0.49: libimage/filters.go).
"""

from __future__ import annotations

from pypod.cli.flags.filters import has_labels, moment_ns
from pypod.errors import InvalidSpec, PypodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pypod.api.engine import Engine
    from pypod.api.images.summary import ImageSummary

    Test = Callable[[ImageSummary], bool]

__all__ = ["compile_image_filters", "refers_to"]

_ONCE = frozenset(("dangling", "intermediate", "manifest"))
_PATTERN = frozenset("*?[\\")


def compile_image_filters(entries: Sequence[str], engine: Engine) -> Test:
    """Return the test that an image must pass.

    Raises InvalidSpec, also when ``before`` or ``since`` names no image.
    """
    found: dict[str, list[Test]] = {}
    once: dict[str, bool] = {}
    for entry in entries:
        name, negated, value = entry.partition("!=")
        if not negated:
            name, equals, value = entry.partition("=")
            if not equals:
                raise InvalidSpec(
                    "--filter",
                    f'invalid image filter "{entry}": must be in the format "filter=value or filter!=value"',
                )
        if name not in _TABLE:
            raise InvalidSpec("--filter", f'unsupported image filter "{name}"')
        if name in _ONCE and once.setdefault(name, _bool(name, value)) != _bool(name, value):
            raise InvalidSpec(
                "--filter", f'specifying "{name}" filter more than once with different values is not supported'
            )
        test = _TABLE[name](engine, value)
        found.setdefault(name, []).append(_opposite(test) if negated else test)
    alternatives = list(found.values())
    return lambda image: all(any(test(image) for test in tests) for tests in alternatives)


def _opposite(test: Test) -> Test:
    return lambda image: not test(image)


def _bool(name: str, value: str) -> bool:
    from pypod.cli.go.strconv import parse_bool

    try:
        return parse_bool(value)
    except ValueError as error:  # podman swaps the two in its message
        raise InvalidSpec("--filter", f'non-boolean value "{name}" for {value} filter: {error}') from error


def refers_to(pattern: str) -> Test:
    """Return a test whether a pattern matches a name of an image, or the end of one, with or without the tag.

    ``*`` and ``?`` do not match a slash, as in Go's path.Match.
    """
    fits = _path_match(pattern)
    return lambda image: any(fits(one) for name in image.names for one in _forms(name))


def _forms(name: str) -> set[str]:
    """Return the forms of a name: in full, without the registry, and its last component."""
    repository = name.partition("@")[0] if "@" in name else name.rpartition(":")[0]
    tag = name[len(repository) :]
    path, last = repository.partition("/")[2], repository.rpartition("/")[2]
    return {name, repository, path, path + tag, last, last + tag}


def _path_match(pattern: str) -> Callable[[str], bool]:
    if _PATTERN.isdisjoint(pattern):
        return lambda text: text == pattern
    from fnmatch import fnmatchcase

    parts = pattern.replace("[^", "[!").split("/")

    def matches(text: str) -> bool:
        found = text.split("/")
        return len(found) == len(parts) and all(map(fnmatchcase, found, parts))

    return matches


def _reference(_: Engine, value: str) -> Test:
    return refers_to(value)


def _label(_: Engine, value: str) -> Test:
    return lambda image: has_labels([value], image.labels)


def _dangling(_: Engine, value: str) -> Test:
    wanted = _bool("dangling", value)
    return lambda image: (not image.names and not image.is_intermediate) is wanted


def _readonly(_: Engine, value: str) -> Test:
    wanted = _bool("readonly", value)
    return lambda _: not wanted  # no image is in read-only storage


def _manifest(_: Engine, value: str) -> Test:
    wanted = _bool("manifest", value)
    return lambda image: image.is_list is wanted


def _intermediate(_: Engine, value: str) -> Test:
    wanted = _bool("intermediate", value)
    return lambda image: image.is_intermediate is wanted


def _id(_: Engine, value: str) -> Test:
    return lambda image: image.id == value


def _containers(_: Engine, value: str) -> Test:
    if value == "external":
        return lambda _: False
    if value not in ("true", "false"):
        raise InvalidSpec("--filter", f'unsupported value "{value}" for containers filter')
    return lambda image: (image.container_count > 0) is (value == "true")


def _until(_: Engine, value: str) -> Test:
    moment = moment_ns([value])
    return lambda image: image.created_ns < moment


def _created_ns(engine: Engine, name: str, value: str) -> int:
    try:
        return engine.images.find(value).created_ns
    except PypodError as error:
        raise InvalidSpec(
            "--filter", f'could not find local image for filter filter "{name}"="{value}": {error}'
        ) from error


def _before(engine: Engine, value: str) -> Test:
    moment = _created_ns(engine, "before", value)
    return lambda image: image.created_ns < moment


def _since(engine: Engine, value: str) -> Test:
    moment = _created_ns(engine, "since", value)
    return lambda image: image.created_ns > moment


_TABLE: dict[str, Callable[[Engine, str], Test]] = {
    "after": _since,
    "before": _before,
    "containers": _containers,
    "dangling": _dangling,
    "id": _id,
    "intermediate": _intermediate,
    "label": _label,
    "manifest": _manifest,
    "readonly": _readonly,
    "reference": _reference,
    "since": _since,
    "until": _until,
}
