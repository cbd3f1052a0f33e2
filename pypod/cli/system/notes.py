"""What a user is told with the first command of a session: what there is not on this host for them."""

from __future__ import annotations

import sys

from pypod.kernel.proc import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.layout import Layout


def holder(layout: Layout) -> str:
    """Return what names the holder of the user's session, empty when there never was one."""
    try:
        return read_text(layout.session_status)
    except OSError:  # what is wrong with the storage the command says
        return ""


def tell_of_new(layout: Layout, before: str) -> None:
    """Write to standard error what a user's containers do without, if a session was made since ``before`` was asked."""
    if holder(layout) in ("", before):
        return
    from pypod.engine.networks import options
    from pypod.engine.session import subordinate_ids

    for missing in (subordinate_ids.notice(), options.notice()):
        if missing:
            print(f"Note: {missing}", file=sys.stderr)
