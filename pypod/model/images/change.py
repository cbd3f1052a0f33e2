"""Dockerfile instructions that change an image's configuration (podman-commit(1), --change)."""

from __future__ import annotations

from pypod.errors import InvalidSpec
from pypod.kernel.abi import signal_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any


# docker's Schema2Config, by the types of its fields
_FIELDS: dict[str, type] = {
    **dict.fromkeys(("Hostname", "Domainname", "User", "WorkingDir", "StopSignal", "Image"), str),
    **dict.fromkeys(("Env", "Cmd", "Entrypoint", "OnBuild", "Shell"), list),
    **dict.fromkeys(("ExposedPorts", "Volumes", "Labels", "Healthcheck"), dict),
    "ArgsEscaped": bool,
    "StopTimeout": int,
}
_MERGED = ("ExposedPorts", "Volumes", "Labels")


def apply(config: dict[str, Any], instructions: Iterable[str]) -> None:
    """Apply instructions to the ``config`` of an image's configuration. Raises InvalidSpec.

    >>> config = {}
    >>> apply(config, ['CMD ["sh", "-c"]', "ENV A=1", "EXPOSE=80"])
    >>> config
    {'Cmd': ['sh', '-c'], 'Env': ['A=1'], 'ExposedPorts': {'80/tcp': {}}}
    """
    for instruction in instructions:
        name, value = _split(instruction)
        change = _CHANGES.get(name.upper())
        if change is None:
            wrong = f"invalid instruction {name}" if value else "must be formatted as KEY VALUE"
            raise InvalidSpec("--change", f'invalid change "{instruction}" - {wrong}', hint=_HINT)
        if not value and (change not in _CLEARED or not instruction.strip().endswith("=")):
            raise InvalidSpec("--change", f"invalid change {instruction!r}: missing value")
        change(config, value)


def override(config: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Put the fields of another ``config`` over those of an image's: maps and variables are merged. Raises InvalidSpec.

    >>> config = {"Env": ["A=1", "B=2"], "Labels": {"a": "b"}, "Cmd": ["sh"]}
    >>> override(config, {"Env": ["A=3"], "Labels": {"c": "d"}, "User": "web"})
    >>> config
    {'Env': ['B=2', 'A=3'], 'Labels': {'a': 'b', 'c': 'd'}, 'Cmd': ['sh'], 'User': 'web'}
    """
    for name, value in given.items():
        kind = _FIELDS.get(name)
        if kind is None or not isinstance(value, kind):
            raise InvalidSpec("--config", f"{name}: {value!r} is not a field of an image's configuration")
        if isinstance(value, list | dict) and not all(isinstance(one, str) for one in value):
            raise InvalidSpec("--config", f"{name}: {value!r} contains something that is not a string")
        if value:  # as in podman, what is empty says nothing
            config[name] = _over(name, config.get(name), value)


def _over(name: str, old: Any, new: Any) -> Any:
    if name == "Env":
        names = {one.partition("=")[0] for one in new}
        return [*(one for one in old or [] if one.partition("=")[0] not in names), *new]
    return {**(old or {}), **new} if name in _MERGED else new


def _split(instruction: str) -> tuple[str, str]:
    """Return name and value of ``NAME VALUE`` or ``NAME=VALUE``."""
    text = instruction.strip()
    end = next((at for at, character in enumerate(text) if character in " \t="), len(text))
    return text[:end], text[end + 1 :].strip()


def _command(key: str) -> Callable[[dict[str, Any], str], None]:
    def change(config: dict[str, Any], value: str) -> None:
        words = _list(value) if value else []
        config[key] = ["/bin/sh", "-c", value] if words is None else words

    return change


def _list(value: str) -> list[str] | None:
    """Return a JSON list of strings; None for anything else."""
    if not value.startswith("["):
        return None
    import json

    try:
        found = json.loads(value)
    except ValueError:
        return None
    return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else None


def _text(key: str) -> Callable[[dict[str, Any], str], None]:
    def change(config: dict[str, Any], value: str) -> None:
        config[key] = value

    return change


def _environment(config: dict[str, Any], value: str) -> None:
    name, entry = _pair(value)
    others = [one for one in config.get("Env") or [] if one.partition("=")[0] != name]
    config["Env"] = [*others, f"{name}={entry}"]


def _label(config: dict[str, Any], value: str) -> None:
    if "=" not in value:
        raise InvalidSpec("--change", f"LABEL {value}: a label must be formatted key=value")
    name, entry = _pair(value)
    config["Labels"] = {**(config.get("Labels") or {}), _unquoted(name): entry}


def _pair(value: str) -> tuple[str, str]:
    first = value.split(maxsplit=1)[0]
    if "=" in first:
        name, _, entry = value.partition("=")
    else:
        name, _, entry = value.partition(" ")
    if not name:
        raise InvalidSpec("--change", f"{value!r}: missing name")
    return name, _unquoted(entry.strip())


def _unquoted(text: str) -> str:
    """Return the text without enclosing quotes, if any, like podman."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _expose(config: dict[str, Any], value: str) -> None:
    ports: dict[str, dict[str, str]] = {}
    for word in value.split():
        number, _, protocol = word.partition("/")
        if not all(part.isascii() and part.isdigit() for part in number.split("-", 1)):
            raise InvalidSpec("--change", f"EXPOSE {word}: not a port", hint="use NUMBER[/tcp|/udp|/sctp]")
        ports[f"{number}/{protocol or 'tcp'}"] = {}
    config["ExposedPorts"] = {**(config.get("ExposedPorts") or {}), **ports}


def _volume(config: dict[str, Any], value: str) -> None:
    words = _list(value)
    places = value.split() if words is None else words
    config["Volumes"] = {**(config.get("Volumes") or {}), **{place: {} for place in places}}


def _stop_signal(config: dict[str, Any], value: str) -> None:
    signal_number(value, argument="--change")
    config["StopSignal"] = value


def _on_build(config: dict[str, Any], value: str) -> None:
    config["OnBuild"] = [*(config.get("OnBuild") or []), value]


_CLEARED = (_command("Cmd"), _command("Entrypoint"))  # an empty CMD= or ENTRYPOINT= clears the current one
_CHANGES: dict[str, Callable[[dict[str, Any], str], None]] = {
    "CMD": _CLEARED[0],
    "ENTRYPOINT": _CLEARED[1],
    "ENV": _environment,
    "EXPOSE": _expose,
    "LABEL": _label,
    "ONBUILD": _on_build,
    "STOPSIGNAL": _stop_signal,
    "USER": _text("User"),
    "VOLUME": _volume,
    "WORKDIR": _text("WorkingDir"),
}
_HINT = f"use {', '.join(_CHANGES)}"
