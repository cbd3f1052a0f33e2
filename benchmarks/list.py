"""How long does a list take at a shell? `ps`, `ps -a` and `pod ps` with 1, 50 and 1,000 containers, whole process."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks.harness import PYPOD, Clock, Goal, Report, Settings, compete, note_reasons, rows, run
from benchmarks.peers import Podman, Shell
from benchmarks.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

SIZES = (1, 50, 1000)
_PER_POD = 10
_COMMANDS = {"ps": ("ps",), "ps -a": ("ps", "-a"), "pod ps": ("pod", "ps")}
GOALS = {
    **{f"ps, {size} containers": Goal(limit=15, podman_ratio=1) for size in (1, 50)},
    **{f"{name}, {size} containers": Goal(podman_ratio=1) for name in ("ps -a", "pod ps") for size in SIZES},
    "ps, 1000 containers": Goal(podman_ratio=1),
}


def _operation(name: str, size: int) -> str:
    return f"{name}, {size} containers"


class PypodLists:
    """pypod at a shell, with a storage directory for each size."""

    name = PYPOD
    every = 1

    def __init__(self, place: Workspace, sizes: Sequence[int]) -> None:
        self._place = place
        self._sizes = sizes
        self._stack = ExitStack()
        self._command: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        from pypod import Engine

        self._command = self._place.install()
        for size in self._sizes:
            engine = self._stack.enter_context(Engine(self._root(size)))
            for first in range(0, size, _PER_POD):
                pod = engine.pods.create()
                self._stack.callback(pod.remove, force=True, timeout=0)
                for _ in range(first, min(first + _PER_POD, size)):
                    pod.create_container(["sleep", "1000"], rootfs=self._place.rootfs)
                if first == 0:  # one pod runs with all its members; the others are only created
                    pod.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _root(self, size: int) -> str:
        return f"{self._place.directory}/pypod-{size}"

    def turn(self, clock: Clock) -> None:
        """List each directory."""
        for size in self._sizes:
            shell = Shell(*self._command, "--root", self._root(size))
            for name, words in _COMMANDS.items():
                clock.add(_operation(name, size), shell(*words))


class PodmanLists:
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
                _fill(podman.shell, size, self._place.rootfs)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def turn(self, clock: Clock) -> None:
        """List each storage."""
        for size, podman in self._all.items():
            for name, words in _COMMANDS.items():
                clock.add(_operation(name, size), podman.shell(*words))


def _fill(shell: Shell, size: int, rootfs: str) -> None:
    for first in range(0, size, _PER_POD):
        pod = f"pod{first}"
        shell("pod", "create", "--network", "none", "--name", pod)
        for number in range(first, min(first + _PER_POD, size)):
            shell("create", "--pod", pod, "--name", f"c{number}", "--rootfs", f"{rootfs}:O", "sleep", "1000")
        if first == 0:
            shell("pod", "start", pod)


class EmptyPrograms:
    """A lower bound for programs of its kind: an interpreter that does nothing."""

    every = 1

    def __init__(self, name: str, *argv: str) -> None:
        self.name = name
        self._argv = argv

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def turn(self, clock: Clock) -> None:
        """Start it."""
        clock.add("an empty program", run(self._argv)[0])


def measure(settings: Settings) -> Report:
    """Return the times of lists at a shell."""
    report = Report("list", "Lists at a shell: whole process, one pod of up to ten runs and the rest is created, ms")
    with Workspace(settings.directory) as place:
        podman = PodmanLists(place, SIZES[:2] if settings.quick else SIZES, every=settings.choose(2, 2))
        pypod = PypodLists(place, SIZES)
        interpreters = (
            EmptyPrograms("python", f"{place.directory}/venv/bin/python", "-c", "pass"),
            EmptyPrograms("python -I -S", sys.executable, "-I", "-S", "-c", "pass"),
            EmptyPrograms("true (C)", os.path.realpath("/bin/true")),
        )
        samples, reasons = compete((pypod, podman, *interpreters), settings.choose(100, 6), progress=report.name)
    operations = [_operation(name, size) for name in _COMMANDS for size in SIZES]
    report.rows = rows(operations, (pypod, podman), samples, reasons)
    report.rows += rows(["an empty program"], interpreters, samples, reasons)
    report.compare(GOALS)
    report.notes = list(dict.fromkeys([*podman.notes, *note_reasons(reasons)]))
    if settings.quick:
        report.notes.append("podman with 1,000 containers takes minutes to prepare: not in a quick run")
    return report
