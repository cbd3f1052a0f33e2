"""Health checks: the command that tests whether a container is healthy, and its results."""

from __future__ import annotations

from pypod.errors import InvalidSpec
from pypod.model.value import Value

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
# docker's and podman's defaults for what an image does not set
_RETRIES, _TIMEOUT_NS, _INTERVAL_NS = 3, 30_000_000_000, 30_000_000_000


class Healthcheck(Value):
    """A command that tests whether a container is healthy. ``test`` is docker's list: ``CMD`` or ``CMD-SHELL`` first.

    Times in nanoseconds. Only ``healthcheck run`` executes it: podman leaves scheduling to systemd timers.
    """

    test: tuple[str, ...] = ()
    interval_ns: int = _INTERVAL_NS
    timeout_ns: int = _TIMEOUT_NS
    start_period_ns: int = 0
    retries: int = _RETRIES

    def command(self) -> tuple[str, ...]:
        """Return the words to execute; empty when there is no check. Raises InvalidSpec."""
        kind, *words = self.test or ("NONE",)
        if kind == "NONE":
            return ()
        if kind == "CMD-SHELL" and len(words) == 1:
            return ("/bin/sh", "-c", words[0])
        if kind == "CMD" and words:
            return tuple(words)
        raise InvalidSpec("--health-cmd", f"invalid health check {' '.join(self.test)!r}")


class Check(Value):
    """One execution of the check. Times in nanoseconds since the epoch; ``output`` is truncated."""

    started_ns: int
    ended_ns: int
    exit_code: int
    output: str


class Health(Value):
    """A container's health: ``status`` is starting, healthy or unhealthy; ``failing_streak`` counts failures."""

    status: str = STARTING
    failing_streak: int = 0
    log: tuple[Check, ...] = ()

    def after(self, check: Check, retries: int, *, in_start_period: bool, keep: int = 5) -> Health:
        """Return the health after one more check; failures during the start period do not count.

        >>> bad = Check(started_ns=0, ended_ns=1, exit_code=1, output="")
        >>> Health().after(bad, 2, in_start_period=False).after(bad, 2, in_start_period=False).status
        'unhealthy'
        """
        log = (*self.log, check)[-keep:]
        if check.exit_code == 0:
            return Health(status=HEALTHY, log=log)
        if in_start_period and self.status == STARTING:
            return self.replace(log=log)
        streak = self.failing_streak + 1
        return Health(status=UNHEALTHY if streak >= retries else self.status, failing_streak=streak, log=log)
