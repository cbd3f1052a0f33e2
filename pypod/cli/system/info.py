"""The facts behind ``info`` and ``version``, and the YAML in which podman prints them."""

from __future__ import annotations

import os

from pypod.cli.go.values import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.api.engine import Engine

__all__ = ["Facts", "information", "version_facts", "yaml"]

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


class Facts(Struct):
    """A struct whose fields are accessible by their JSON name (``memFree``) and by Go's (``MemFree``)."""

    def __missing__(self, key: str) -> Any:
        lowered = key.lower()
        for name, value in self.items():
            if name.lower() == lowered:
                return value
        raise KeyError(key)


def version_facts() -> Facts:
    """Return the facts that ``version`` prints."""
    import sys

    from pypod import __version__

    machine = os.uname().machine
    return Facts(
        APIVersion=__version__,
        Version=__version__,
        PythonVersion=".".join(map(str, sys.version_info[:3])),
        OsArch=f"linux/{_ARCHITECTURES.get(machine, machine)}",
        Os="linux",
    )


def information(engine: Engine) -> Facts:
    """Return the facts that ``info`` prints: host, plugins, store and version."""
    facts: Facts = _facts(engine.info())
    facts["version"] = version_facts()
    facts.type_name = "*define.Info"
    facts["host"].type_name = "*define.HostInfo"
    return facts


def _facts(value: Any) -> Any:
    if isinstance(value, dict):
        return Facts((name, _facts(item)) for name, item in value.items())
    return [_facts(item) for item in value] if isinstance(value, list) else value


def yaml(value: dict[str, Any], indent: str = "") -> str:
    """Format a mapping as YAML with sorted keys, as podman prints it."""
    lines = []
    for key in sorted(value):
        item = value[key]
        if isinstance(item, dict) and item:
            lines.append(f"{indent}{key}:\n{yaml(item, indent + '  ')}")
        elif isinstance(item, list) and item:
            lines.append(f"{indent}{key}:\n" + "".join([_element(one, indent) for one in item]))
        else:
            lines.append(f"{indent}{key}: {_scalar(item)}\n")
    return "".join(lines)


def _element(value: object, indent: str) -> str:
    if isinstance(value, dict) and value:
        return f"{indent}- {yaml(value, indent + '  ')[len(indent) + 2 :]}"
    return f"{indent}- {_scalar(value)}\n"


def _scalar(value: object) -> str:
    if isinstance(value, dict | list):
        return "{}" if isinstance(value, dict) else "[]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return "null" if value is None else str(value)
    return value if _is_plain(value) else _quoted(value)


def _is_plain(text: str) -> bool:
    """Return whether a string needs no quotes in YAML (YAML 1.2, 7.3.3) and is not read as another type."""
    if not text or text.strip() != text or text[0] in "-?:,[]{}#&*!|>'\"%@`" or not text.isprintable():
        return False
    if ": " in text or " #" in text or text.endswith(":"):
        return False
    if text.lower() in ("true", "false", "null", "yes", "no", "on", "off", "~", "y", "n"):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return False


def _quoted(text: str) -> str:
    from pypod.cli.go.strconv import quote

    return quote(text)
