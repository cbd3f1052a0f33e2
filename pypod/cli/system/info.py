"""The facts behind ``info`` and ``version``, and the YAML in which podman prints them."""

from __future__ import annotations

import os

from pypod.cli.go.values import NilList, Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.api.engine import Engine

__all__ = ["Facts", "information", "version_facts", "yaml"]

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


# Fields whose name in Go is another word than the one in JSON (podman: libpod/define/info.go).
_GO_NAMES = {"cgroupsversion": "cgroupversion", "defaultcapabilities": "capabilities"}
# Maps in Go, whose keys are no fields.
_MAPS = ("graphOptions", "graphStatus", "registries")


class Facts(Struct):
    """A struct whose fields are accessible by their JSON name (``memFree``) and by Go's (``MemFree``)."""

    def __missing__(self, key: str) -> Any:
        lowered = key.lower()
        for name, value in self.items():
            if name.lower() in (lowered, _GO_NAMES.get(lowered)):
                return value
        raise KeyError(key)


def version_facts() -> Facts:
    """Return the facts that ``version`` prints."""
    import sys
    import time

    from pypod import __version__
    from pypod.api.functions import built_s

    machine = os.uname().machine
    built = built_s()
    return Facts(
        APIVersion=__version__,
        Version=__version__,
        GoVersion="",
        PythonVersion=".".join(map(str, sys.version_info[:3])),
        GitCommit="",
        BuiltTime=time.ctime(built),
        Built=built,
        OsArch=f"linux/{_ARCHITECTURES.get(machine, machine)}",
        Os="linux",
    )


def information(engine: Engine) -> Facts:
    """Return the facts that ``info`` prints: host, plugins, registries, store and version."""
    facts: Facts = _facts(engine.info())
    facts["version"] = version_facts()
    facts.type_name = "*define.Info"
    facts["host"].type_name = "*define.HostInfo"
    return facts


def _facts(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        if name in _MAPS:
            return dict(value)
        return Facts((key, _facts(item, key)) for key, item in value.items())
    if value is None:
        return NilList()
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
        elif isinstance(item, str) and _is_text(item):
            lines.append(f"{indent}{key}: |-\n" + "".join([f"{indent}  {line}\n" for line in item.split("\n")]))
        else:
            lines.append(f"{indent}{key}: {_scalar(item)}\n")
    return "".join(lines)


def _element(value: object, indent: str) -> str:
    if isinstance(value, dict) and value:
        return f"{indent}- {yaml(value, indent + '  ')[len(indent) + 2 :]}"
    return f"{indent}- {_scalar(value)}\n"


def _scalar(value: object) -> str:
    if isinstance(value, NilList):
        return "null"
    if isinstance(value, dict | list):
        return "{}" if isinstance(value, dict) else "[]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return "null" if value is None else str(value)
    return value if _is_plain(value) else _quoted(value)


def _is_text(text: str) -> bool:
    """Return whether a string has several lines that YAML's block style can hold as they are."""
    lines = text.split("\n")
    return len(lines) > 1 and all(line and line.isprintable() for line in lines) and not text.startswith(" ")


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
