"""How much memory does a pull take, as the layers grow? The largest of its processes, beside podman's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.harness import Clock, Goal, Report, Settings, compete, note_reasons, rows
from benchmarks.images import PodmanImages, PypodImages
from benchmarks.samples import Registry, prepare
from benchmarks.workspace import Workspace

if TYPE_CHECKING:
    from benchmarks.peers import Shell
    from benchmarks.samples import Sample

_LIMIT_MB = 100.0
_MADE_MB = {"layer of 10 MB": 10, "layer of 100 MB": 100, "layer of 1,000 MB": 1000}


def measure(settings: Settings) -> Report:
    """Return the peak memory of pulling images of one layer each, of the samples and of ever larger ones."""
    report = Report("image_memory", "Memory of a pull: peak resident set of the largest process, MB", unit="MB")
    sizes = dict(list(_MADE_MB.items())[: settings.choose(3, 2)])
    with Workspace(settings.directory) as place, Registry(place) as registry:
        samples = [*prepare(place, registry, "", sizes)]
        if settings.images:
            samples = [*prepare(place, registry, settings.images), *samples]
        pypod, podman = PypodPulls(place, samples), PodmanPulls(place, samples)
        peaks_mb, reasons = compete((pypod, podman), settings.choose(3, 1), warm_up=0, progress=report.name)
    goals = {f"pull {sample.name}": Goal(limit=_LIMIT_MB) for sample in samples}
    report.rows = rows(list(goals), (pypod, podman), peaks_mb, reasons)
    report.compare(goals)
    report.notes = list(dict.fromkeys([*podman.notes, *note_reasons(reasons)]))
    return report


def _pull(shell: Shell, samples: Sequence[Sample], clock: Clock) -> None:
    for sample in samples:
        clock.add(f"pull {sample.name}", shell.peak_mb("pull", "-q", "--tls-verify=false", sample.reference))
        shell("rmi", "-a", "-f")


class PypodPulls(PypodImages):
    """pypod, weighed."""

    def turn(self, clock: Clock) -> None:
        """Pull each image."""
        _pull(self.shell, self.samples, clock)


class PodmanPulls(PodmanImages):
    """podman, weighed."""

    def turn(self, clock: Clock) -> None:
        """Pull each image."""
        _pull(self.shell, self.samples, clock)
