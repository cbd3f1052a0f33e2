"""The operation of an OCI hook (config.md of the runtime-spec, "POSIX-platform Hooks")."""

from __future__ import annotations

from pypod.model import plain_json
from pypod.runtime.ops import Op

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def hook(
    stage: str, path: str, arguments: Sequence[str], variables: Sequence[str], timeout_s: int, state: dict[str, Any]
) -> Op:
    """Return the operation for a hook; ``state`` is what it reads, but for the pid."""
    start, _, end = plain_json.dumps({"pid": 0, **state}).partition("0")
    return Op("hook", stage, timeout_s, start, end, len(variables), *variables, path, *arguments)
