"""What a user is told with the first command of a session: what this host does not have for them."""

from __future__ import annotations

import sys


def session_of(root: str | None) -> str:
    """Return what names the user's session, empty when there never was one."""
    from pypod.api.session import holder

    return holder(root)


def tell_of_new(root: str | None, before: str) -> None:
    """Write to standard error what a user's containers do without, if a session was made since ``before`` was asked."""
    from pypod.api.session import holder, limitations

    if holder(root) in ("", before):
        return
    for missing in limitations():
        print(f"Note: {missing}", file=sys.stderr)
