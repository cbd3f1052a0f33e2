"""The OCI hooks of containers.conf (oci-hooks(5)). None is run: a container that one is for is refused."""

from __future__ import annotations

import json
import os
import re

from pypod.errors import Unsupported
from pypod.model.mount import BIND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.engine.configuration.files import Settings
    from pypod.model.container import ContainerSpec


def refuse(settings: Settings, spec: ContainerSpec) -> None:
    """Raise Unsupported for a container that a configured hook is for."""
    found: dict[str, str] = {}
    for directory in settings.get("engine", "hooks_dir") or ():
        try:
            found |= {name: f"{directory}/{name}" for name in os.listdir(directory) if name.endswith(".json")}
        except OSError:  # podman ignores a directory that does not exist
            continue
    for _, path in sorted(found.items()):
        if _is_for(path, spec):
            hint = "take the directory out of hooks_dir in containers.conf, or its `when` out of the hook"
            raise Unsupported("hooks_dir", f"OCI hooks are not available: {path} would not be run", hint=hint)


def _is_for(path: str, spec: ContainerSpec) -> bool:
    """Return whether a hook is for a container: all conditions that it has are met. One that is damaged may be."""
    try:
        with open(path, "rb") as file:
            when = json.load(file)["when"]
        met = _met(when, spec)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, re.error):
        return True
    return bool(met) and all(met)


def _met(when: dict[str, Any], spec: ContainerSpec) -> list[bool]:
    met = [bool(when["always"])] if "always" in when else []
    if "hasBindMounts" in when:
        met.append(bool(when["hasBindMounts"]) and any(mount.type == BIND for mount in spec.mounts))
    for key, value in (when.get("annotations") or {}).items():
        met.append(any(re.search(key, name) and re.search(value, text) for name, text in spec.annotations))
    if commands := when.get("commands"):
        program = spec.arguments[0]
        met.append(any(re.search(pattern, program) for pattern in commands))
    return met
