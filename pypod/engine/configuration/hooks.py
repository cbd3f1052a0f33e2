"""OCI hooks (oci-hooks(5)): which of those in the configured directories are for a container.

A file NAME.json in a later directory replaces one of that name in an earlier one. Hooks run by name.
"""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec, Unsupported
from pypod.model.mount import BIND
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pypod.model.container import ContainerSpec

# config.md of the runtime-spec: what the container's state is when the hooks of a stage run
STATES = {
    "prestart": "creating",
    "createRuntime": "creating",
    "createContainer": "creating",
    "startContainer": "created",
    "poststart": "running",
    "poststop": "stopped",
}
_PRECREATE = "precreate"  # podman's own: the hook would change the configuration
_VERSION = "1.0.0"
_MOST_S = 1_000_000


class Hook(Value):
    """A hook of one stage: a program with its arguments from 0 on, and its variables. 0 seconds are no timeout."""

    stage: str
    path: str
    arguments: tuple[str, ...]
    variables: tuple[str, ...]
    timeout_s: int


def of_container(places: Iterable[str], spec: ContainerSpec) -> tuple[Hook, ...]:
    """Return the hooks for a container, in order.

    Raises InvalidSpec for a file that is damaged, Unsupported for a hook that would change the configuration.
    """
    found: dict[str, str] = {}
    for directory in places:
        try:
            found |= {name: f"{directory}/{name}" for name in os.listdir(directory) if name.endswith(".json")}
        except OSError:  # podman ignores a directory that does not exist
            continue
    return tuple(hook for _, path in sorted(found.items()) for hook in _hooks_in(path, spec))


def _hooks_in(path: str, spec: ContainerSpec) -> list[Hook]:
    import json
    import re

    try:
        with open(path, "rb") as file:
            content = json.load(file)
        hooks, met = _parsed(content), _met(content["when"], spec)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, re.error) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise InvalidSpec("--hooks-dir", f'parsing hook "{path}": {what}') from error
    if not met or not all(met):
        return []
    if any(hook.stage == _PRECREATE for hook in hooks):
        hint = "take it out of the hook's stages"
        raise Unsupported("hooks", f"hooks of the stage precreate are not available: {path} is one", hint=hint)
    return hooks


def _parsed(content: dict[str, Any]) -> list[Hook]:
    """Return the hook of a file for each of its stages. Raises ValueError and what its wrong types raise."""
    if content.get("version") != _VERSION:
        raise ValueError(f"unrecognized hook version: {content.get('version')!r}")
    hook, stages = content["hook"], content["stages"]
    path = str(hook["path"])
    if not os.path.isabs(path):
        raise ValueError(f"hook.path {path!r} is not absolute")
    os.stat(path)
    if not stages or not set(stages) <= {*STATES, _PRECREATE}:
        raise ValueError(f"stages must be among {', '.join((*STATES, _PRECREATE))}")
    arguments = tuple(map(str, hook.get("args") or (path,)))
    variables, timeout_s = tuple(map(str, hook.get("env") or ())), int(hook.get("timeout") or 0)
    if "\0" in "".join((path, *arguments, *variables)) or not 0 <= timeout_s <= _MOST_S:
        raise ValueError("hook has a NUL byte, or a timeout out of range")
    return [
        Hook(stage=stage, path=path, arguments=arguments, variables=variables, timeout_s=timeout_s)
        for stage in (*STATES, _PRECREATE)
        if stage in stages
    ]


def _met(when: dict[str, Any], spec: ContainerSpec) -> list[bool]:
    """Return for each condition whether it is met. Patterns are Python's; Go's syntax is nearly a subset."""
    import re

    met = [bool(when["always"])] if "always" in when else []
    if "hasBindMounts" in when:
        met.append(bool(when["hasBindMounts"]) and any(mount.type == BIND for mount in spec.mounts))
    for key, value in (when.get("annotations") or {}).items():
        met.append(any(re.search(key, name) and re.search(value, text) for name, text in spec.annotations))
    if commands := when.get("commands"):
        program = spec.arguments[0]
        met.append(any(re.search(pattern, program) for pattern in commands))
    return met
