"""A container that attacks whatever is started beside it: when it is at work, and what it saw."""

from __future__ import annotations

import time

from tests.integration.inside import Report, written


def begin(container) -> None:
    """Wait until the attacker is at work."""
    for _ in range(500):
        if "watching" in written(container):
            return
        time.sleep(0.01)
    raise AssertionError(written(container))


def conclude(container) -> Report:
    """Tell the attacker to stop and read what it did."""
    container.exec(["touch", "/tmp/stop"])  # whose end may come with the container's
    assert container.wait(30) == 0
    return Report(written(container))


def number(full: bool, short: int, long: int) -> int:
    return long if full else short
