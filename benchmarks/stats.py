"""What does reading the statistics of running containers cost, in the library and at a shell?"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks.harness import PYPOD, Clock, Goal, Report, Settings, compete, note_reasons, rows
from benchmarks.peers import Podman, Shell
from benchmarks.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from pypod import Engine

SIZES = (1, 10, 100)
_PER_POD = 10
_MEMORY = 64 << 20
GOALS = {
    "library, 100 containers": Goal(limit=20),
    **{f"stats --no-stream, {size} containers": Goal(podman_ratio=1) for size in SIZES},
}


class PypodStats:
    """pypod, with a storage directory for each size."""

    name = PYPOD
    every = 1

    def __init__(self, place: Workspace, sizes: Sequence[int]) -> None:
        self._place = place
        self._sizes = sizes
        self._stack = ExitStack()
        self._engines: dict[int, Engine] = {}
        self._command: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        from pypod import Engine

        self._command = self._place.install()
        for size in self._sizes:
            engine = self._stack.enter_context(Engine(self._root(size)))
            self._engines[size] = engine
            for first in range(0, size, _PER_POD):
                pod = engine.pods.create()
                self._stack.callback(pod.remove, force=True, timeout=0)
                for _ in range(first, min(first + _PER_POD, size)):
                    pod.run(["sleep", "1000"], rootfs=self._place.rootfs, memory=_MEMORY)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _root(self, size: int) -> str:
        return f"{self._place.directory}/pypod-{size}"

    def turn(self, clock: Clock) -> None:
        """Look at each storage."""
        from pypod.engine.resources.stats import look
        from pypod.store import records

        for size, engine in self._engines.items():
            with clock.time(f"library, {size} containers"):
                found = look(engine, records.all_containers(engine.database))
            assert len(found) >= size
            shell = Shell(*self._command, "--root", self._root(size))
            clock.add(f"stats --no-stream, {size} containers", shell("stats", "--no-stream"))


class PodmanStats:
    """podman, with a storage of its own for each size."""

    name = Podman.name

    def __init__(self, place: Workspace, sizes: Sequence[int], every: int) -> None:
        self._place = place
        self._all = {size: Podman(place, label=f"podman-{size}") for size in sizes}
        self._stack = ExitStack()
        self.every = every

    @property
    def notes(self) -> list[str]:
        """Notes that a reader of the numbers needs."""
        return [note for podman in self._all.values() for note in podman.notes]

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for size, podman in self._all.items():
                stack.enter_context(podman)
                for first in range(0, size, _PER_POD):
                    pod = f"pod{first}"
                    podman.shell("pod", "create", "--network", "none", "--name", pod)
                    for _ in range(first, min(first + _PER_POD, size)):
                        words = ("--pod", pod, "--memory", str(_MEMORY), "--rootfs", f"{self._place.rootfs}:O")
                        podman.shell("run", "-d", *words, "sleep", "1000")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def turn(self, clock: Clock) -> None:
        """Look at each storage."""
        for size, podman in self._all.items():
            clock.add(f"stats --no-stream, {size} containers", podman.shell("stats", "--no-stream"))


def measure(settings: Settings) -> Report:
    """Return the times of reading the statistics."""
    report = Report("stats", "Statistics of running containers, ten in a pod, each with a limit of memory, ms")
    with Workspace(settings.directory) as place:
        podman = PodmanStats(place, SIZES[:2] if settings.quick else SIZES, every=settings.choose(3, 2))
        pypod = PypodStats(place, SIZES)
        samples, reasons = compete((pypod, podman), settings.choose(60, 6), progress=report.name)
    operations = [f"{what}, {size} containers" for what in ("library", "stats --no-stream") for size in SIZES]
    report.rows = rows(operations, (pypod, podman), samples, reasons)
    report.compare(GOALS)
    report.notes = list(dict.fromkeys([*podman.notes, *note_reasons(reasons)]))
    return report
