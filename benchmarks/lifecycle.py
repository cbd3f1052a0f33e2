"""How long do a pod and a container in it take? pypod as a library, compared with podman, crun and the C floor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.floor import Floor
from benchmarks.harness import PYPOD, Clock, Goal, Report, Settings, compete, note_reasons, rows
from benchmarks.peers import Crun, Podman
from benchmarks.workspace import Workspace

if TYPE_CHECKING:
    from typing import Self

    from pypod import Engine

OPERATIONS = ("pod create+start", "container create+start", "exec true", "stop", "pod rm -f")
GOALS = {
    "pod create+start": Goal(limit=2.5, floor_ratio=2),
    "container create+start": Goal(limit=2.5, floor_ratio=2),
    "exec true": Goal(limit=1.5, floor_ratio=2),
    "pod rm -f": Goal(limit=3, floor_ratio=2),
}


class Library:
    """pypod, imported and warm."""

    name = PYPOD
    every = 1

    def __init__(self, place: Workspace) -> None:
        self._place = place
        self._engine: Engine | None = None

    def __enter__(self) -> Self:
        from pypod import Engine

        self._engine = Engine(f"{self._place.directory}/pypod")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._engine is not None
        for pod in self._engine.pods.list():
            pod.remove(force=True, timeout=0)
        self._engine.close()

    def turn(self, clock: Clock) -> None:
        """Start and remove a pod."""
        assert self._engine is not None
        command, rootfs = ["sleep", "1000"], self._place.rootfs
        with clock.time("pod create+start"):
            pod = self._engine.pods.create()
            pod.start()
        with clock.time("container create+start"):
            first = pod.run(command, rootfs=rootfs)
        with clock.time("exec true"):
            result = first.exec(["true"])
        assert result.exit_code == 0
        with clock.time("stop"):
            first.stop(timeout=0)
        first.remove()
        for _ in range(2):
            with clock.time("container create+start"):
                pod.run(command, rootfs=rootfs)
        with clock.time("pod rm -f"):
            pod.remove(force=True, timeout=0)


def measure(settings: Settings) -> Report:
    """Return the times of the life of a pod: created, used, removed with two containers in it."""
    report = Report("lifecycle", "The life of a pod: lo only, containers with a tiny static program, ms")
    with Workspace(settings.directory) as place:
        floor, podman = Floor(place), Podman(place, every=settings.choose(10, 3))
        crun = Crun(place, every=settings.choose(5, 2))
        contestants = (Library(place), floor, podman, crun)
        samples, reasons = compete(contestants, settings.choose(200, 6), progress=report.name)
    report.rows = rows(OPERATIONS, contestants, samples, reasons)
    report.compare(GOALS)
    notes = [*floor.notes, *podman.notes, *crun.notes, *note_reasons(reasons)]
    report.notes = list(dict.fromkeys(notes))
    report.notes.append("podman and crun are programs: each of their times is one or more whole processes")
    report.notes.append("`stop` is SIGKILL at once (-t 0); `pod rm -f` removes a pod with two running containers")
    return report
