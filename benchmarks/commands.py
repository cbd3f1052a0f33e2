"""How long does each command take at a shell, compared with podman's?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from benchmarks.harness import PODMAN, PYPOD, Clock, Goal, Report, Row, Settings, Unavailable, compete, summarise
from benchmarks.peers import Podman, Shell
from benchmarks.workspace import Workspace

if TYPE_CHECKING:
    from typing import Self

# The life of a pod. {n} is the number of the turn, {rootfs} the root file system of the guest programs, and {file} has
# 1 MB of random bytes.
SCENARIO = (
    "version",
    "info",
    "pod create --network none --name p{n}",
    "pod start p{n}",
    "create --pod p{n} --name a{n} --rootfs {rootfs}:O sleep 1000",
    "start a{n}",
    "run -d --pod p{n} --name b{n} --rootfs {rootfs}:O sleep 1000",
    "run --rm --network none --rootfs {rootfs}:O true",
    "exec a{n} true",
    "ps",
    "ps -a --pod",
    "pod ps",
    "logs a{n}",
    "inspect a{n}",
    "pod inspect p{n}",
    "container exists a{n}",
    "pod exists p{n}",
    "top a{n}",
    "cp {file} a{n}:/new",
    "cp a{n}:/new {file}.copy",
    "volume create v{n}",
    "volume ls",
    "volume inspect v{n}",
    "secret create s{n} /etc/passwd",
    "secret ls",
    "restart -t 0 a{n}",
    "kill b{n}",
    "wait b{n}",
    "stop -t 0 a{n}",
    "rm a{n}",
    "pod stop -t 0 p{n}",
    "pod restart p{n}",
    "pod kill p{n}",
    "pod rm -f -t 0 p{n}",
    "volume rm v{n}",
    "secret rm s{n}",
)


def _label(command: str) -> str:
    for left_out in ("{n}", " --rootfs {rootfs}:O", " --network none"):
        command = command.replace(left_out, "")
    return command.replace("{file}", "FILE")


def verbs() -> list[str]:
    """Return every command of pypod, as typed at a shell."""
    from pypod.cli.verbs import GROUPS, VERBS

    of_groups = [f"{group} {verb}" for group in ("pod", "system") for verb in sorted(GROUPS[group][1])]
    return [*sorted(VERBS), *of_groups]


class Commands:
    """A program at a shell: the scenario, and each command's --help as a measure of its start-up.

    ``failures`` maps each operation that failed to its error message; the others are measured all the same.
    """

    def __init__(self, name: str, every: int, place: Workspace) -> None:
        self.name = name
        self.every = every
        self.failures: dict[str, str] = {}
        self._place = place
        self._number = 0

    def perform(self, shell: Shell, clock: Clock) -> None:
        """Run each command once."""
        self._number += 1
        for verb in verbs():
            self._timed(shell, clock, f"{verb} --help", f"{verb} --help")
        for command in SCENARIO:
            words = command.format(n=self._number, rootfs=self._place.rootfs, file=self._file())
            self._timed(shell, clock, _label(command), words)

    def _file(self) -> str:
        path = f"{self._place.directory}/megabyte"
        if not os.path.exists(path):
            with open(path, "wb") as file:
                file.write(os.urandom(1 << 20))
        return path

    def _timed(self, shell: Shell, clock: Clock, operation: str, command: str) -> None:
        if operation in self.failures and operation.endswith("--help"):
            return
        try:
            clock.add(operation, shell(*command.split()))
        except Unavailable as error:
            self.failures.setdefault(operation, str(error))


class PypodCommands(Commands):
    """pypod at a shell."""

    def __init__(self, place: Workspace) -> None:
        super().__init__(PYPOD, 1, place)
        self._shell = Shell("pypod")

    def __enter__(self) -> Self:
        self._shell = Shell(*self._place.install(), "--root", f"{self._place.directory}/pypod")
        return self

    def __exit__(self, *_: object) -> None:
        from pypod import Engine

        with Engine(f"{self._place.directory}/pypod") as engine:
            for pod in engine.pods.list():
                pod.remove(force=True, timeout=0)
            for container in engine.containers.list(all=True):
                container.remove(force=True, timeout=0)

    def turn(self, clock: Clock) -> None:
        """Run each command once."""
        self.perform(self._shell, clock)


class PodmanCommands(Commands):
    """podman at a shell."""

    def __init__(self, place: Workspace, every: int) -> None:
        super().__init__(PODMAN, every, place)
        self._podman = Podman(place)

    @property
    def notes(self) -> list[str]:
        """Notes that a reader of the numbers needs."""
        return self._podman.notes

    def __enter__(self) -> Self:
        self._podman.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._podman.__exit__()

    def turn(self, clock: Clock) -> None:
        """Run each command once."""
        self.perform(self._podman.shell, clock)


def measure(settings: Settings) -> Report:
    """Return the times of every command: its start-up (--help) and its work."""
    report = Report("commands", "Commands at a shell: whole process, ms")
    with Workspace(settings.directory) as place:
        pypod, podman = PypodCommands(place), PodmanCommands(place, every=settings.choose(2, 2))
        samples, reasons = compete((pypod, podman), settings.choose(40, 4), warm_up=2, progress=report.name)
    operations = [f"{verb} --help" for verb in verbs()] + [_label(command) for command in SCENARIO]
    for operation in operations:
        for contestant in (pypod, podman):
            times = samples.get((operation, contestant.name))
            why = contestant.failures.get(operation) or reasons.get(contestant.name, "")
            table_row = summarise(operation, contestant.name, times) if times else Row(operation, contestant.name)
            if not times:
                table_row.why = why
            report.rows.append(table_row)
            if times and why:
                report.notes.append(f"{contestant.name} {operation} did not always work: {why}")
    report.compare({operation: Goal(podman_ratio=1) for operation in operations})
    report.notes += podman.notes
    return report
