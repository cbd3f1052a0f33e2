"""How fast are the commands for images (pull, load, save, commit, first run, list, remove), compared with podman's?"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks.harness import PODMAN, PYPOD, Clock, Goal, Report, Settings, compete, note_reasons, rows
from benchmarks.peers import Podman, Shell
from benchmarks.samples import Registry, many, mixed, prepare
from benchmarks.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from benchmarks.samples import Sample

_MANY = 100
_FAST = Goal(podman_ratio=1 / 1.5)
_WRITTEN = {"50 MB": (50_000_000, (1_000_000,)), "1,000 files": (1_000_000, (1_000,))}
_TRASH_S = 30.0


def _operations(samples: Sequence[Sample]) -> dict[str, Goal]:
    """Return all operations, in the order of the table, with their goals."""
    ends = (samples[0], samples[-1])
    found = {f"pull {sample.name}": _FAST for sample in samples}
    found |= {f"pull {sample.name}, all of it present": Goal(podman_ratio=1) for sample in ends}
    for form in ("docker-archive", "oci-archive"):
        found |= {f"load {form} {sample.name}": _FAST for sample in ends}
        found |= {f"save {form} {sample.name}": Goal(podman_ratio=1) for sample in ends}
    found |= {f"run --rm {sample.name} true, the first": Goal(podman_ratio=1) for sample in ends}
    found |= {f"commit {what} written": Goal(podman_ratio=1) for what in _WRITTEN}
    found |= {f"rmi {sample.name}": Goal(podman_ratio=1) for sample in ends}
    return {**found, f"images, {_MANY} of them": Goal(podman_ratio=1)}


class Images:
    """A program at a shell: ``perform`` begins and ends without an image.

    ``fit_to_lowers`` is called before each timed command, so that pending writes of an earlier one do not count.
    """

    def __init__(
        self, samples: Sequence[Sample], shell: Shell, directory: str, fit_to_lowers: Callable[[], None] = os.sync
    ) -> None:
        self.samples = samples
        self.shell = shell
        self._directory = directory
        self._settle = fit_to_lowers

    def perform(self, clock: Clock) -> None:
        """Do every operation once."""
        for sample in self.samples:
            self._timed(clock, f"pull {sample.name}", "pull", "-q", "--tls-verify=false", sample.reference)
            if sample in (self.samples[0], self.samples[-1]):
                self._all_of(clock, sample)
            self._clear()

    def _all_of(self, clock: Clock, sample: Sample) -> None:
        name = sample.name
        run = ("run", "--rm", "--network", "none", sample.reference, "true")
        self._timed(clock, f"run --rm {name} true, the first", *run)
        again = ("pull", "-q", "--tls-verify=false", sample.reference)
        self._timed(clock, f"pull {name}, all of it present", *again)
        if sample is self.samples[0]:
            self._commits(clock, sample)
        for form in ("docker-archive", "oci-archive"):
            path = f"{self._directory}/saved.tar"
            words = ("save", "-q", "--format", form, "-o", path, sample.reference)
            self._timed(clock, f"save {form} {name}", *words)
            os.unlink(path)
        self._timed(clock, f"rmi {name}", "rmi", sample.reference)
        for form, path in (("docker-archive", sample.docker_archive), ("oci-archive", sample.oci_archive)):
            self._clear()
            self._timed(clock, f"load {form} {name}", "load", "-q", "-i", path)

    def _commits(self, clock: Clock, sample: Sample) -> None:
        for what, (size_bytes, sizes) in _WRITTEN.items():
            self.shell("run", "-d", "--name", "writer", "--network", "none", sample.reference, "sleep", "1000")
            try:
                # through the host's view of the container's root: the image need not have a shell
                pid = self.shell.output("inspect", "--format", "{{.State.Pid}}", "writer")
                _write(f"/proc/{pid}/root/written", size_bytes, sizes)
                self.shell("stop", "-t", "0", "writer")
                self._timed(clock, f"commit {what} written", "commit", "-q", "writer", "localhost/committed")
            finally:
                self.shell("rm", "-f", "-t", "0", "writer", expect=None)
            self.shell("rmi", "localhost/committed")

    def _timed(self, clock: Clock, operation: str, *words: str) -> None:
        self._settle()
        clock.add(operation, self.shell(*words))

    def _clear(self) -> None:
        self.shell("rmi", "-a", "-f")


def _write(directory: str, size_bytes: int, sizes: Sequence[int]) -> None:
    os.mkdir(directory)
    for number, content in enumerate(mixed(size_bytes, sizes)):
        with open(f"{directory}/{number}", "wb") as file:
            file.write(content)


class PypodImages:
    """pypod at a shell."""

    name = PYPOD
    every = 1

    def __init__(self, place: Workspace, samples: Sequence[Sample], archive: str) -> None:
        self._place = place
        self.samples = samples
        self._archive = archive

    def __enter__(self) -> Self:
        command = self._place.install()
        self._root = f"{self._place.directory}/pypod"
        self.shell = Shell(*command, "--root", self._root)
        self._many = Shell(*command, "--root", f"{self._root}-many")
        self._many("load", "-q", "-i", self._archive)
        return self

    def __exit__(self, *_: object) -> None:
        self.shell("rm", "-a", "-f", "-t", "0", expect=None)

    def turn(self, clock: Clock) -> None:
        """Do every operation once."""
        Images(self.samples, self.shell, self._place.directory, self._settle).perform(clock)
        clock.add(f"images, {_MANY} of them", self._many("images"))

    def _settle(self) -> None:
        """Wait for the background deletion, which would otherwise slow down the next operation."""
        deadline = time.monotonic() + _TRASH_S
        trash = f"{self._root}/trash"
        while os.path.isdir(trash) and os.listdir(trash) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.sync()


class PodmanImages:
    """podman at a shell."""

    name = PODMAN

    def __init__(self, place: Workspace, samples: Sequence[Sample], archive: str, every: int) -> None:
        self._place = place
        self.samples = samples
        self._archive = archive
        self._one, self._many = Podman(place), Podman(place, label="podman-many")
        self.shell = Shell("podman")
        self._stack = ExitStack()
        self.every = every

    @property
    def notes(self) -> list[str]:
        """Notes that a reader of the numbers needs."""
        return [*self._one.notes, *self._many.notes]

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for podman in (self._one, self._many):
                stack.enter_context(podman)
            self.shell = self._one.shell
            self._many.shell("load", "-q", "-i", self._archive)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def turn(self, clock: Clock) -> None:
        """Do every operation once."""
        Images(self.samples, self.shell, self._place.directory).perform(clock)
        clock.add(f"images, {_MANY} of them", self._many.shell("images"))


def measure(settings: Settings) -> Report:
    """Return the times of every operation on images."""
    report = Report("images", "Images at a shell: whole process, registry on loopback, ms")
    with Workspace(settings.directory) as place, Registry(place) as registry:
        samples = prepare(place, registry, settings.images)
        archive = f"{place.directory}/many.tar"
        many(archive, _MANY)
        pypod, podman = PypodImages(place, samples, archive), PodmanImages(place, samples, archive, every=1)
        samples_ms, reasons = compete((pypod, podman), settings.choose(7, 1), warm_up=1, progress=report.name)
    goals = _operations(samples)
    report.rows = rows(list(goals), (pypod, podman), samples_ms, reasons)
    report.compare(goals)
    report.notes = list(dict.fromkeys([*podman.notes, *note_reasons(reasons)]))
    sizes = ", ".join(f"{sample.name} {sample.size_bytes / 1e6:.1f} MB" for sample in samples)
    report.notes.append(f"images, as OCI archives: {sizes}")
    return report
