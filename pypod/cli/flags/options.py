"""The library's options as flags: the parser's table, and the conversion from a command line to options."""

from __future__ import annotations

from pypod.cli.flags import text_files
from pypod.cli.flags.parser import Flag
from pypod.cli.flags.values import ZEROS
from pypod.errors import InvalidSpec
from pypod.model.options.fields import flag_of, options_of
from pypod.model.options.readers import ram_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Any

    from pypod.cli.flags.parser import Parsed
    from pypod.model.mount import Mount
    from pypod.model.options.classes import Field
    from pypod.model.options.fields import Options

_EMPTY_VALUES = ("entrypoint", "share")  # these have a meaning of their own when they are empty
_KINDS = {"bool": "bool", "int": "int", "int | None": "int", "str": "string"}


def flags_of(options: type[Options], without: Collection[str] = ()) -> tuple[Flag, ...]:
    """Return a flag for each option that has one, except the options in ``without``."""
    found = []
    for name, (field, about) in options_of(options).items():
        flag = flag_of(field)
        if not flag or name in without:
            continue
        kind = about.kind or _KINDS[str(field.type)]
        default = about.shown
        if default is None and type(field.default) is type(ZEROS[kind]):
            default = field.default or None
        found.append(
            Flag(
                name=flag,
                kind=kind,
                short=about.short,
                help=about.help,
                default=default,
                metavar=about.metavar,
                aliases=about.aliases,
            )
        )
    return tuple(found)


def options_given(options: type[Options], parsed: Parsed) -> dict[str, Any]:
    """Return the library's options for the flags on a command line, parsed. Raises InvalidSpec."""
    found = {}
    known = {flag.name for flag in parsed.command.flags}
    for name, (field, _) in options_of(options).items():
        flag = flag_of(field)
        if flag in known and parsed.changed(flag) and not _is_unset(parsed[flag], field):
            read = _READERS.get(name)
            value = read(parsed[flag], f"--{flag}") if read else parsed[flag]
            found[name] = options.read(name, value)
    if "env-file" in known:
        found["environment"] = text_files.environment(parsed["env"], parsed["env-file"])
    if "label-file" in known:
        found["labels"] = text_files.labels(parsed["label"], parsed["label-file"])
    return found


def _is_unset(value: object, field: Field) -> bool:
    """Return whether an empty text, as scripts pass for what they leave open, stands for the default."""
    return value == "" and field.name not in _EMPTY_VALUES


# Parsers for flags whose text the library does not parse itself.


def _entrypoint(text: str, _: str) -> list[str]:
    """Parse --entrypoint: a JSON list of strings, or one word."""
    if not text.startswith("["):
        return [text] if text else []
    import json

    try:
        words = json.loads(text)
    except ValueError:
        return [text]
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else [text]


def _pairs(entries: Sequence[str], flag: str) -> dict[str, str]:
    found = {}
    for entry in entries:
        name, separator, value = entry.partition("=")
        if not separator:
            raise InvalidSpec(flag, f"{entry} is invalid, {flag[2:]} values must be in the form of KEY=VALUE")
        found[name] = value
    return found


def _annotations(entries: Sequence[str], flag: str) -> dict[str, str]:
    for entry in entries:
        if "=" not in entry:
            raise InvalidSpec(flag, "annotations must be formatted KEY=VALUE")
    return {name: value for name, _, value in (entry.partition("=") for entry in entries)}


def _cgroup_conf(entries: Sequence[str], flag: str) -> dict[str, str]:
    for entry in entries:
        if "=" not in entry:
            raise InvalidSpec(flag, "--cgroup-conf must be formatted KEY=VALUE")
    return {name: value for name, _, value in (entry.partition("=") for entry in entries)}


def _mounts(texts: Sequence[str], _: str) -> list[Mount]:
    from pypod.model.mount_flags import parse_mount

    return [parse_mount(text) for text in texts]


def _weight(text: str, flag: str) -> int:
    from pypod.cli.go.strconv import parse_uint

    try:
        return parse_uint(text)
    except ValueError as error:
        raise InvalidSpec(flag, f"invalid value for blkio-weight: {error}") from error


def _devices(words: Sequence[str], flag: str, number: Callable[[str], int], wrong: str, rule: str) -> dict[str, int]:
    found = {}
    for word in words:
        path, colon, value = word.partition(":")
        if not colon:
            raise InvalidSpec(flag, f"bad format: {word}")
        if not path.startswith("/dev/"):
            raise InvalidSpec(flag, f"bad format for device path: {word}")
        try:
            found[path] = number(value)
        except (ValueError, OverflowError) as error:
            raise InvalidSpec(flag, f"{wrong}: {word}{rule}") from error
    return found


def _bytes_of_devices(words: Sequence[str], flag: str) -> dict[str, int]:
    unit = "Unit is optional and can be kb, mb, or gb"
    rule = f". The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. {unit}"
    return _devices(words, flag, ram_bytes, "invalid rate for device", rule)


def _counts_of_devices(words: Sequence[str], flag: str) -> dict[str, int]:
    rule = ". The correct format is <device-path>:<number>. Number must be a positive integer"
    return _devices(words, flag, _decimal, "invalid rate for device", rule)


def _weights_of_devices(words: Sequence[str], flag: str) -> dict[str, int]:
    return _devices(words, flag, _decimal, "invalid weight for device", "")


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(text)
    return int(text)


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "annotations": _annotations,
    "cgroup_conf": _cgroup_conf,
    "blkio_weight": _weight,
    "blkio_weight_device": _weights_of_devices,
    "device_read_bps": _bytes_of_devices,
    "device_read_iops": _counts_of_devices,
    "device_write_bps": _bytes_of_devices,
    "device_write_iops": _counts_of_devices,
    "entrypoint": _entrypoint,
    "environment": lambda entries, _: text_files.environment(entries, ()),
    "infra_command": lambda text, _: text.split(),
    "labels": lambda entries, _: text_files.labels(entries),
    "mounts": _mounts,
    "sysctls": _pairs,
}
