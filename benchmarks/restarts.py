"""How long does a container with a restart policy take to run again, beyond the time that two starts are apart?"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from itertools import pairwise

from benchmarks.harness import Clock, Goal, Report, Settings, compete, note_reasons, rows
from benchmarks.lifecycle import Library
from benchmarks.peers import Podman
from benchmarks.workspace import Workspace

OPERATION = "restart"
GOALS = {OPERATION: Goal(limit=5, podman_ratio=1)}
_RESTARTS = 5
_PATIENCE_S = 30.0


class PypodRestarts(Library):
    """pypod: from the event of the restart, which follows the wait, to that of the start."""

    def turn(self, clock: Clock) -> None:
        """Let a container end until it has been started again some times."""
        assert self._engine is not None
        container = self._engine.containers.run(["true"], rootfs=self._place.rootfs, restart="always")
        deadline = time.monotonic() + _PATIENCE_S
        try:
            while container.state().restarts < _RESTARTS and time.monotonic() < deadline:
                time.sleep(0.02)
        finally:
            container.remove(force=True, timeout=0)  # nothing else ends it
        told = [one for one in self._engine.events() if one.id == container.id and one.action in ("restart", "start")]
        for earlier, later in pairwise(told):
            if (earlier.action, later.action) == ("restart", "start"):
                clock.add(OPERATION, (later.time_ns - earlier.time_ns) / 1e6)


class PodmanRestarts(Podman):
    """podman, which waits for nothing: from the end to the next start."""

    def turn(self, clock: Clock) -> None:
        """Let a container end until it has been started again some times."""
        self._number += 1
        name = f"restarts{self._number}"
        policy = ("--restart", "always", "--network", "none")
        self.shell("run", "-d", "--name", name, *policy, "--rootfs", self._place.rootfs, "true")
        time.sleep(_RESTARTS * 0.2)
        for _ in range(3):  # it fails for one that ends or starts at that moment
            self.shell("rm", "-f", "-t", "0", name, expect=None)
        words = ("--stream=false", "--filter", f"container={name}", "--format", "{{.Time}} {{.Status}}")
        told = self.shell.output("events", *words)
        ended = 0.0
        for line in told.splitlines():
            moment, action = _moment(line), line.rpartition(" ")[2]
            if action == "died":
                ended = moment
            elif action == "start" and ended:
                clock.add(OPERATION, (moment - ended) * 1000)


def _moment(line: str) -> float:
    """Return the time of an event in seconds: ``2026-01-02 03:04:05.678901234 +0000 UTC start``."""
    found = re.match(r"(\S+ [\d:]+)(\.\d+)? \+0000 UTC", line)
    assert found is not None, line
    whole = datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return whole.timestamp() + float(found[2] or 0)


def measure(settings: Settings) -> Report:
    """Return the times of restarts."""
    report = Report("restarts", "A container is started again, beyond the 100 ms that two starts are apart, ms")
    with Workspace(settings.directory) as place:
        podman, pypod = PodmanRestarts(place, every=settings.choose(3, 2)), PypodRestarts(place)
        samples, reasons = compete((pypod, podman), settings.choose(30, 4), progress=report.name)
    report.rows = rows([OPERATION], (pypod, podman), samples, reasons)
    report.compare(GOALS)
    report.notes = list(dict.fromkeys([*podman.notes, *note_reasons(reasons)]))
    return report
