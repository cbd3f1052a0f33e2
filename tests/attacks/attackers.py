"""A container that attacks whatever is started beside it: wait until it is active, and collect its report."""

from __future__ import annotations

import time

from tests.integration.inside import Report, written


def begin(container) -> None:
    """Wait until the attacker is active."""
    for _ in range(500):
        if "watching" in written(container):
            return
        time.sleep(0.01)
    raise AssertionError(written(container))


def conclude(container) -> Report:
    """Tell the attacker to stop and return its report."""
    container.exec(["touch", "/tmp/stop"])  # may be cut short by the container's end
    assert container.wait(30) == 0
    return Report(written(container))


def number(full: bool, short: int, long: int) -> int:
    return long if full else short
