"""Paths of programs: our C programs, and those of the host."""

from __future__ import annotations

import os
import sys

from pypod.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DIRECTORY = os.path.join(_PACKAGE, "_libexec")
MONITOR, LAUNCHER = "monitor", "launch"  # what performs plans: beside a container, and once


def path(name: str) -> str:
    """Return the path of a C program. Raises Unsupported when it was not built."""
    found = os.path.join(DIRECTORY, name)
    if not os.path.exists(found):
        raise Unsupported("programs", f"{found} is missing", hint="build it: make -C pause, or pip install . again")
    return found


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs ``main`` of a module of pypod's with this interpreter, isolated from the caller.

    -I ignores the environment and the user's directories, -S skips the half of the start-up that looks for packages.
    """
    code = f"import sys; sys.path.insert(0, {os.path.dirname(_PACKAGE)!r}); from {module} import main; main()"
    return (sys.executable, "-I", "-S", "-c", code, *arguments)


def installed(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the path of a program of the host, empty when it is not installed."""
    for place in environment.get("PATH", os.defpath).split(":"):
        found = f"{place}/{name}"
        if place.startswith("/") and os.access(found, os.X_OK):
            return found
    return ""
