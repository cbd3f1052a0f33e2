"""Notes that a user gets with the first command of a session: what this host lacks for the user's containers."""

from __future__ import annotations

import sys


def session_of(root: str | None) -> str:
    """Return the name of the user's session, or "" when there never was one."""
    from pypod.api.session import holder

    return holder(root)


def tell_of_new(root: str | None, before: str) -> None:
    """Write what a user's containers lack to stderr, if a session was created since ``before`` was obtained."""
    from pypod.api.session import holder, limitations

    if holder(root) in ("", before):
        return
    for missing in limitations():
        print(f"Note: {missing}", file=sys.stderr)
