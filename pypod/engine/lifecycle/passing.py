"""What a caller passes to one start or exec: open descriptors, and variables."""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FIRST = 3  # after the standard streams
_MOST = 250  # a message carries 253 (SCM_MAX_FD of unix(7)), and a lock is among them
_HIGHEST = 1 << 16


def descriptors(given: Sequence[int] | Mapping[int, int]) -> tuple[tuple[int, int], ...]:
    """Return (number there, descriptor here) for each; numbers follow the standard streams unless they are given.

    Raises InvalidSpec for a descriptor that is not open, and for numbers that cannot be used.
    """
    if not given:
        return ()
    mapped = given.items() if hasattr(given, "items") else enumerate(given, FIRST)
    found = tuple((number, fd) for number, fd in mapped)
    if len(found) > _MOST:
        raise InvalidSpec("pass_fds", f"at most {_MOST} descriptors can be passed, not {len(found)}")
    for number, fd in found:
        if not FIRST <= number <= _HIGHEST:
            raise InvalidSpec("pass_fds", f"a descriptor cannot have the number {number}")
        try:
            os.fstat(fd)
        except (OSError, OverflowError, TypeError):
            raise InvalidSpec("pass_fds", f"file descriptor {fd} is not available") from None
    return found


def variables(given: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    """Return variables for one start. Raises InvalidSpec."""
    if not given:
        return ()
    from pypod.engine.specs.process import check_environment

    return check_environment(given)
