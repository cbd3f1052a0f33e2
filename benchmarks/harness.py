"""Measure contestants side by side: repeat, summarise, compare with the goals, print a table, write JSON."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RESULTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results")
_REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PYPOD, PODMAN, FLOOR = "pypod", "podman", "floor (C)"
_SETTLE_S = 0.02
_PROCESS_TIMEOUT_S = 120.0


class Unavailable(Exception):
    """Raised by a contestant that cannot take part here or cannot do an operation; the message says why."""


class Clock:
    """Collects the times of one contestant's turn, in milliseconds, by operation."""

    def __init__(self) -> None:
        self.samples: dict[str, list[float]] = {}

    def add(self, operation: str, *times_ms: float) -> None:
        """Record times that were measured elsewhere."""
        self.samples.setdefault(operation, []).extend(times_ms)

    @contextmanager
    def time(self, operation: str) -> Iterator[None]:
        """Record how long the block takes; a block that raises does not count."""
        start = time.perf_counter()
        yield
        self.add(operation, (time.perf_counter() - start) * 1000)


class Contestant(Protocol):
    """A competitor in a benchmark. As a context manager it sets itself up and leaves nothing behind.

    ``every``: a slow one takes its turn only in each ``every``-th round.
    """

    name: str
    every: int

    def __enter__(self) -> Contestant: ...
    def __exit__(self, *_: object) -> None: ...
    def turn(self, clock: Clock) -> None:
        """Do every operation once, timed by ``clock``."""


@dataclass(frozen=True)
class Goal:
    """The goal of pypod for an operation: a limit in the table's unit, and limits relative to other contestants."""

    limit: float | None = None
    floor_ratio: float | None = None
    podman_ratio: float | None = None

    def describe(self, unit: str) -> str:
        """Return the goal in a few words."""
        parts = [
            f"<= {self.limit:g} {unit}" if self.limit is not None else "",
            f"<= {self.floor_ratio:.3g}x floor" if self.floor_ratio is not None else "",
            f"<= {self.podman_ratio:.3g}x podman" if self.podman_ratio is not None else "",
        ]
        return ", ".join(part for part in parts if part)

    def met(self, row: Row) -> bool | None:
        """Return whether the row meets it, None when a value to compare with was not measured."""
        checks = [
            (row.median, self.limit),
            (row.to_floor, self.floor_ratio),
            (row.to_podman, self.podman_ratio),
        ]
        if any(value is None for value, limit in checks if limit is not None):
            return None
        return all(value <= limit for value, limit in checks if value is not None and limit is not None)


@dataclass
class Row:
    """One line of a table: an operation by a contestant. ``why`` explains missing numbers."""

    operation: str
    contestant: str
    runs: int = 0
    median: float | None = None
    p95: float | None = None
    minimum: float | None = None
    to_podman: float | None = None
    to_floor: float | None = None
    goal: str = ""
    met: bool | None = None
    why: str = ""


@dataclass
class Report:
    """The table that answers one question, with notes for its reader."""

    name: str
    title: str
    unit: str = "ms"
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def compare(self, goals: dict[str, Goal]) -> None:
        """Fill in the ratios to podman and to the floor, and whether pypod meets its goals."""
        medians = {(row.operation, row.contestant): row.median for row in self.rows}
        for row in self.rows:
            row.to_podman = _ratio(row.median, medians.get((row.operation, PODMAN)))
            row.to_floor = _ratio(row.median, medians.get((row.operation, FLOOR)))
            goal = goals.get(row.operation)
            if goal is not None and row.contestant.startswith(PYPOD):
                row.goal = goal.describe(self.unit)
                row.met = goal.met(row)

    def print(self) -> None:
        """Print the table."""
        print(f"\n{self.title}\n")
        print("\n".join(_aligned([_HEADINGS, *(_cells(row) for row in self.rows)])))
        for note in self.notes:
            print(f"  * {note}")
        sys.stdout.flush()

    def write(self, machine: dict[str, Any], directory: str = RESULTS) -> str:
        """Write everything as JSON; return the path."""
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, f"{self.name}.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"machine": machine, **asdict(self)}, file, indent=1)
            file.write("\n")
        return path


def compete(
    contestants: Sequence[Contestant], rounds: int, warm_up: int = 3, progress: str = ""
) -> tuple[dict[tuple[str, str], list[float]], dict[str, str]]:
    """Give each contestant its turn in every round, so that the machine's noise affects all alike.

    The order is reversed from round to round. Returns (operation, contestant) -> times in ms, without the first
    ``warm_up`` turns of each, and contestant -> why it could not take part.
    """
    samples: dict[tuple[str, str], list[float]] = {}
    reasons: dict[str, str] = {}
    with ExitStack() as stack:
        present: list[Contestant] = []
        for contestant in contestants:
            try:
                present.append(stack.enter_context(contestant))
            except Unavailable as error:
                reasons[contestant.name] = str(error)
        for number in range(-warm_up, rounds):
            _show(progress, number, rounds)
            for contestant in list(present) if number % 2 else present[::-1]:
                if number > 0 and number % contestant.every:
                    continue
                time.sleep(_SETTLE_S)  # the kernel's work left by one contestant must not count for the next
                clock = Clock()
                try:
                    contestant.turn(clock)
                except Unavailable as error:
                    reasons[contestant.name] = str(error)
                    present.remove(contestant)
                    continue
                if number >= 0:
                    for operation, times_ms in clock.samples.items():
                        samples.setdefault((operation, contestant.name), []).extend(times_ms)
        _show(progress, rounds, rounds)
    return samples, reasons


def rows(
    operations: Sequence[str],
    contestants: Sequence[Contestant],
    samples: dict[tuple[str, str], list[float]],
    reasons: dict[str, str],
) -> list[Row]:
    """Return a row for every operation and contestant, including contestants that could not take part."""
    table = []
    for operation in operations:
        for contestant in contestants:
            times = samples.get((operation, contestant.name))
            if times:
                table.append(summarise(operation, contestant.name, times))
            else:
                why = reasons.get(contestant.name, "has no such operation")
                table.append(Row(operation, contestant.name, why=why))
    return table


def summarise(operation: str, contestant: str, values: Sequence[float]) -> Row:
    """Return median, 95th percentile (nearest rank) and minimum."""
    ordered = sorted(values)
    return Row(
        operation,
        contestant,
        runs=len(ordered),
        median=percentile(ordered, 50),
        p95=percentile(ordered, 95),
        minimum=ordered[0],
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return a percentile of sorted values: nearest rank, except the median, which may be the mean of two values."""
    if percent == 50:
        middle = len(ordered) // 2
        return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(int(rank), 1) - 1]


def run(argv: Sequence[str], environment: dict[str, str] | None = None, *, expect: int | None = 0) -> tuple[float, str]:
    """Run a program to its end; return how long that took in ms, and its output.

    It uses posix_spawn and one file for the output: subprocess would add a millisecond of its own. The program runs in
    a session of its own, so that ^C reaches only us and everything we started is cleaned up in order. Raises
    Unavailable with the program's last line of output when its exit code is not ``expect``.
    """
    # a file, not a pipe: monitors and the like keep their standard error open, so that a pipe would never end
    output = os.memfd_create("output")
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, output, 2),
    ]
    try:
        start = time.perf_counter()
        pid = os.posix_spawnp(argv[0], list(argv), environment or os.environ, file_actions=actions, setsid=True)
        status = _wait(pid)
        elapsed_ms = (time.perf_counter() - start) * 1000
        text = os.pread(output, 1 << 16, 0).decode("utf-8", "replace").strip()
    finally:
        os.close(output)
    code = os.waitstatus_to_exitcode(status)
    if expect is not None and code != expect:
        said = text.splitlines()[-1] if text else "nothing"
        raise Unavailable(f"`{_brief(argv)}` ended with {code}: {said}")
    return elapsed_ms, text


def _brief(argv: Sequence[str]) -> str:
    words = [os.path.basename(word) for word in argv]
    return " ".join(words if len(words) < 5 else [words[0], "...", *words[-3:]])


def _wait(pid: int) -> int:
    try:
        return os.waitpid(pid, 0)[1]
    except BaseException:
        # let it finish: otherwise our clean-up would race with it
        deadline = time.monotonic() + _PROCESS_TIMEOUT_S
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > deadline:
                os.kill(pid, 9)
            time.sleep(0.01)
        raise


def machine_facts() -> dict[str, Any]:
    """Return facts that the numbers depend on: kernel, processors, load, versions."""
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "kernel": f"{os.uname().sysname} {os.uname().release} {os.uname().machine}",
        "cpus": len(os.sched_getaffinity(0)),
        "cpu_model": _field("/proc/cpuinfo", "model name"),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "load_average_before": os.getloadavg(),
        "python": platform.python_version(),
        "cgroups": _cgroup_mode(),
        "versions": {name: _version(*argv) for name, argv in _VERSIONS.items()},
        "commit": _commit(),
    }


_VERSIONS = {
    "podman": ("podman", "--version"),
    "crun": ("crun", "--version"),
    "conmon": ("conmon", "--version"),
    "catatonit": ("catatonit", "--version"),
    "musl-gcc": ("musl-gcc", "--version"),
    "gcc": ("gcc", "--version"),
}


def _version(*argv: str) -> str | None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.splitlines()[0] if done.stdout else None


def _commit() -> str | None:
    """Return the commit that is measured, marked when files differ from it."""

    def git(*words: str) -> str:
        argv = ("git", "--no-optional-locks", "-C", _REPOSITORY, *words)
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "pypod", "pause")
        return git("rev-parse", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _field(path: str, name: str) -> str | None:
    with open(path, encoding="utf-8") as file:
        return next((line.partition(":")[2].strip() for line in file if line.startswith(name)), None)


def file_system(path: str) -> str:
    """Return the type of the file system that a path is on."""
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        kinds = [line.partition(" - ")[2].split()[0] for line in file if line.split()[2] == wanted]
    return kinds[-1] if kinds else "unknown"


def _cgroup_mode() -> str:
    from pypod.kernel.cgroups.detect import detect

    return detect().mode


def _ratio(value: float | None, other: float | None) -> float | None:
    return None if value is None or not other else value / other


_HEADINGS = ("operation", "contestant", "runs", "median", "p95", "min", "x podman", "x floor", "goal", "met")


def _cells(row: Row) -> tuple[str, ...]:
    if row.median is None:
        return (row.operation, row.contestant, f"- {row.why}")
    numbers = (_number(row.median), _number(row.p95), _number(row.minimum), _number(row.to_podman))
    met = "" if not row.goal else {True: "yes", False: "NO", None: "?"}[row.met]
    return (row.operation, row.contestant, str(row.runs), *numbers, _number(row.to_floor), row.goal, met)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    digits = 3 if value < 1 else 2 if value < 100 else 0
    return f"{value:.{digits}f}"


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    whole = [line for line in table if len(line) == len(_HEADINGS)]
    widths = [max(len(line[column]) for line in whole) for column in range(len(_HEADINGS))]
    for line in table:
        widths[:2] = [max(width, len(cell)) for width, cell in zip(widths[:2], line, strict=False)]
    lines = []
    for line in table:
        cells = [
            cell.rjust(width) if 2 <= column < 8 and len(line) == len(_HEADINGS) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=False))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _show(progress: str, number: int, rounds: int) -> None:
    if progress and sys.stderr.isatty():
        text = f"\r{progress}: {max(number, 0)}/{rounds} "
        print(text if number < rounds else "\r" + " " * len(text) + "\r", end="", file=sys.stderr, flush=True)


def note_reasons(reasons: dict[str, str]) -> list[str]:
    """Return a note for each contestant that could not take part."""
    return [f"{name} does not take part: {why}" for name, why in reasons.items()]


@dataclass(frozen=True)
class Settings:
    """How and where to measure: ``quick`` is for trying the benchmarks out, its numbers mean little.

    ``directory`` is where everything is stored during the run. It matters more than one would expect: see
    docs/performance.md. ``images`` is a directory of OCI archives to measure with; by default some are generated.
    """

    quick: bool = False
    directory: str = "/var/tmp"
    images: str = ""

    def choose(self, full: int, quick: int) -> int:
        """Return one of two counts."""
        return quick if self.quick else full
