"""Where the C programs lie."""

from __future__ import annotations

import os

from pypod.errors import Unsupported

DIRECTORY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "_libexec")


def path(name: str) -> str:
    """Return where a program lies. Raises Unsupported when it was not built."""
    found = os.path.join(DIRECTORY, name)
    if not os.path.exists(found):
        raise Unsupported("programs", f"{found} is missing", hint="build it: make -C pause, or pip install . again")
    return found
