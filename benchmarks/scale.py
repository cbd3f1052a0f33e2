"""Does a start cost more when many pods are running? From 1 to 500."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks.harness import PYPOD, Clock, Report, Settings, file_system, percentile, summarise
from benchmarks.workspace import Workspace

if TYPE_CHECKING:
    from pypod import Engine

LEVELS = (1, 10, 50, 100, 200, 500)
# Storage is in memory unless requested otherwise: the cost of creating files on a disk varies by more than the limit.
_IN_MEMORY = "/dev/shm"
_LIMIT = 1.5
_SETTLE_S = 0.02
_STARTS = ("pod create+start", "container create+start")


def _sample(engine: Engine, rootfs: str, repetitions: int, warm_up: int) -> Clock:
    """Time the start of another pod and of a container in it, several times; each pod is removed again."""
    clock = Clock()
    for number in range(-warm_up, repetitions):
        time.sleep(_SETTLE_S)
        once = Clock()
        with once.time(_STARTS[0]):
            pod = engine.pods.create()
            pod.start()
        with once.time(_STARTS[1]):
            pod.run(["sleep", "1000"], rootfs=rootfs)
        pod.remove(force=True, timeout=0)
        if number >= 0:
            for operation, times_ms in once.samples.items():
                clock.add(operation, *times_ms)
    return clock


def measure(settings: Settings) -> Report:
    """Return start times by the number of pods that are already running."""
    from pypod import Engine

    report = Report("scale", "Starts with many pods up: warm library, ms")
    levels = LEVELS[:4] if settings.quick else LEVELS
    repetitions, warm_up = settings.choose(60, 10), 3
    times: dict[int, list[Clock]] = {}
    where = _IN_MEMORY if settings.directory == Settings.directory else settings.directory
    with Workspace(where) as place, Engine(f"{place.directory}/pypod") as engine:
        pods: list[object] = []
        try:
            for level in levels:
                while len(pods) < level:
                    pod = engine.pods.create()
                    pod.start()
                    pods.append(pod)
                times.setdefault(level, []).append(_sample(engine, place.rootfs, repetitions, warm_up))
            # Again at 1, so that a change in the machine's speed is not mistaken for a cost.
            for one in engine.pods.list()[1:]:
                one.remove(force=True, timeout=0)
            time.sleep(1)
            times[levels[0]].append(_sample(engine, place.rootfs, repetitions, warm_up))
        finally:
            for one in engine.pods.list():
                one.remove(force=True, timeout=0)
    _fill(report, times)
    report.notes.append(f"storage in {where} ({file_system(where)})")
    report.notes.append("podman is not measured here: 500 of its pods take minutes")
    return report


def _fill(report: Report, times: dict[int, list[Clock]]) -> None:
    first = min(times)
    for operation in _STARTS:
        all_at_first = sorted(value for clock in times[first] for value in clock.samples[operation])
        base = percentile(all_at_first, 50)
        for level, clocks in times.items():
            values = [value for clock in clocks for value in clock.samples[operation]]
            row = summarise(f"{operation}, {level} up", PYPOD, values)
            assert row.median is not None
            if level != first:
                row.goal = f"<= {_LIMIT:g}x that with {first} up ({row.median / base:.2f}x)"
                row.met = row.median <= _LIMIT * base
            report.rows.append(row)
        most = max(times)
        tenths = [
            percentile(sorted(v for clock in times[up] for v in clock.samples[operation]), 10) for up in (first, most)
        ]
        report.notes.append(
            f"{operation}, the fastest tenth, which a busy machine changes least: {tenths[1]:.2f} ms with {most} up, "
            f"{tenths[1] / tenths[0]:.2f}x that with {first}"
        )
        before, after = (summarise(operation, PYPOD, clock.samples[operation]).median for clock in times[first])
        report.notes.append(f"{operation} with {first} up: {before:.2f} ms at the beginning, {after:.2f} ms at the end")
