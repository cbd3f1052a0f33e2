"""How long does listing all namespaces take? lsns, ``pypod lsns`` and ``pypod.lsns()`` with 1 and 500 pods running."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from benchmarks.harness import PYPOD, Clock, Report, Settings, Unavailable, compete, note_reasons, rows, run
from benchmarks.peers import Shell
from benchmarks.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from pypod import Engine

LSNS = "lsns"
_LIBRARY = "pypod.lsns()"
SIZES = (1, 500)
_COMMANDS: dict[str, tuple[str, ...]] = {"everything": (), "of one kind": ("-t", "net")}
# parent and owner, for which each namespace must be opened
_RELATIONS = "everything with its relations"


def _operation(what: str, size: int) -> str:
    return f"{what}, {size} pods"


class Program:
    """A program that lists namespaces, at a shell."""

    every = 1

    def __init__(self, name: str, size: int, *argv: str) -> None:
        self.name = name
        self._size = size
        self._shell = Shell(*argv)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def turn(self, clock: Clock) -> None:
        """List."""
        for what, words in _COMMANDS.items():
            clock.add(_operation(what, self._size), self._shell(*words))


class Library:
    """The library call, in this process."""

    every = 1
    name = _LIBRARY

    def __init__(self, size: int, engine: Engine) -> None:
        self._size = size
        self._engine = engine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def turn(self, clock: Clock) -> None:
        """List without and with the relations."""
        from pypod import lsns

        for what, words in _COMMANDS.items():
            with clock.time(_operation(what, self._size)):
                lsns(words[1:], engine=self._engine, relations=False)
        with clock.time(_operation(_RELATIONS, self._size)):
            lsns(engine=self._engine)


def measure(settings: Settings) -> Report:
    """Return the times of listing namespaces."""
    from pypod import Engine

    if shutil.which("lsns") is None:
        raise Unavailable("lsns (Debian: util-linux) is not installed")
    report = Report("namespaces", "Every namespace of the host: whole process, and the call in a warm library, ms")
    sizes = (1, 50) if settings.quick else SIZES
    with Workspace(settings.directory) as place, Engine(f"{place.directory}/pypod") as engine:
        command = (*place.install(), "--root", engine.layout.root)
        found = _count()
        try:
            for size in sizes:
                while len(engine.pods.list()) < size:
                    engine.pods.create().start()
                contestants = (
                    Program(PYPOD, size, *command, "lsns"),
                    Program(LSNS, size, LSNS),
                    Library(size, engine),
                )
                _add(report, size, contestants, settings)
            report.notes.append(
                f"lsns lists {found} without a pod, {len(run((LSNS, '-n'))[1].splitlines())} at the end"
            )
        finally:
            for pod in engine.pods.list():
                pod.remove(force=True, timeout=0)
    return report


def _count() -> int:
    return len(run((LSNS, "-n"))[1].splitlines())


def _add(report: Report, size: int, contestants: Sequence[Program | Library], settings: Settings) -> None:
    samples, reasons = compete(contestants, settings.choose(40, 5), progress=f"{report.name}, {size} pods")
    operations = [_operation(what, size) for what in (*_COMMANDS, _RELATIONS)]
    found = rows(operations, contestants, samples, reasons)
    medians = {(row.operation, row.contestant): row.median for row in found}
    for row in found:
        theirs = medians.get((row.operation, LSNS))
        if size == max(SIZES) and row.contestant == PYPOD and row.median and theirs:
            row.goal = f"<= lsns ({row.median / theirs:.2f}x)"
            row.met = row.median <= theirs
    report.rows += found
    report.notes += note_reasons(reasons)
