"""How much memory does a pull take, as a layer grows? The largest of its processes, compared with podman's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.harness import PYPOD, Clock, Goal, Report, Settings, compete, note_reasons, rows
from benchmarks.peers import Podman, Shell
from benchmarks.samples import Registry, prepare
from benchmarks.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from benchmarks.samples import Sample

_LIMIT_MB = 100.0
_MADE_MB = {"10-mb": 10, "100-mb": 100, "1000-mb": 1000}


class PypodPulls:
    """pypod, with its memory measured."""

    name = PYPOD
    every = 1

    def __init__(self, place: Workspace, samples: Sequence[Sample]) -> None:
        self._place = place
        self._samples = samples
        self._shell = Shell(PYPOD)

    def __enter__(self) -> Self:
        self._shell = Shell(*self._place.install(), "--root", f"{self._place.directory}/pypod")
        return self

    def __exit__(self, *_: object) -> None:
        return

    def turn(self, clock: Clock) -> None:
        """Pull each image."""
        _weigh(self._shell, self._samples, clock)


class PodmanPulls(Podman):
    """podman, with its memory measured."""

    def __init__(self, place: Workspace, samples: Sequence[Sample]) -> None:
        super().__init__(place)
        self._samples = samples

    def turn(self, clock: Clock) -> None:
        """Pull each image."""
        _weigh(self.shell, self._samples, clock)


def _weigh(shell: Shell, samples: Sequence[Sample], clock: Clock) -> None:
    for sample in samples:
        clock.add(f"pull {sample.name}", shell.peak_mb("pull", "-q", "--tls-verify=false", sample.reference))
        shell("rmi", "-a", "-f")


def measure(settings: Settings) -> Report:
    """Return the peak memory of pulls: of generated images with one layer each, ever larger, or of the given ones."""
    report = Report("image_memory", "Memory of a pull: peak resident set of its largest process, MB", unit="MB")
    made = dict(list(_MADE_MB.items())[: settings.choose(3, 2)])
    with Workspace(settings.directory) as place, Registry(place) as registry:
        samples = prepare(place, registry, settings.images, made)
        pypod, podman = PypodPulls(place, samples), PodmanPulls(place, samples)
        peaks_mb, reasons = compete((pypod, podman), settings.choose(3, 1), warm_up=0, progress=report.name)
    goals = {f"pull {sample.name}": Goal(limit=_LIMIT_MB) for sample in samples}
    report.rows = rows(list(goals), (pypod, podman), peaks_mb, reasons)
    report.compare(goals)
    report.notes = list(dict.fromkeys([*podman.notes, *note_reasons(reasons)]))
    return report
