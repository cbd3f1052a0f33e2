"""Where programs lie: the C programs, and those of the host."""

from __future__ import annotations

import os

from pypod.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DIRECTORY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "_libexec")


def path(name: str) -> str:
    """Return where a program lies. Raises Unsupported when it was not built."""
    found = os.path.join(DIRECTORY, name)
    if not os.path.exists(found):
        raise Unsupported("programs", f"{found} is missing", hint="build it: make -C pause, or pip install . again")
    return found


def installed(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the path of a program of the host's, empty when there is none."""
    for place in environment.get("PATH", os.defpath).split(":"):
        found = f"{place}/{name}"
        if place.startswith("/") and os.access(found, os.X_OK):
            return found
    return ""
