"""What a user is told once, with the first command that needs a session: what there is not on this host for them."""

from __future__ import annotations

import sys


def tell() -> None:
    """Write to standard error what a user's containers have to do without, and what can be done about it."""
    from pypod.engine import network_options, session

    for missing in (session.notice(), network_options.notice()):
        if missing:
            print(f"Note: {missing}", file=sys.stderr)
