"""What does a pod on a bridge with published ports cost, alone and among many, and how fast is its traffic?"""

from __future__ import annotations

import os
import shutil
import time
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.floor import Floor
from benchmarks.harness import (
    PODMAN,
    PYPOD,
    Clock,
    Contestant,
    Goal,
    Report,
    Settings,
    Unavailable,
    compete,
    note_reasons,
    percentile,
    rows,
    summarise,
)
from benchmarks.peers import Podman
from benchmarks.traffic import BY_HAND, OPERATIONS, ByHand, Pods, times_by_turns
from benchmarks.workspace import OwnNetwork, Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod import Engine

NETWORK = "bench"
PORTS = ("18080:80", "18443:443")
UP, DOWN = "pod create+start", "pod rm -f"
MANY = 300
_GOALS = {UP: Goal(limit=3)}
_TIMES_MANY, _TIMES_BY_HAND = 2, 1.02
_SUBNETS = {PYPOD: "10.89.240.0/22", PODMAN: "10.89.244.0/22"}
_SETTLE_S, _GONE_S = 1.0, 10.0


class Library:
    """pypod, imported and warm, with another pod on the bridge already."""

    name = PYPOD
    every = 1

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def turn(self, clock: Clock) -> None:
        """Start and remove a pod."""
        with clock.time(UP):
            pod = self._engine.pods.create(network=NETWORK, ports=PORTS)
            pod.start()
        with clock.time(DOWN):
            pod.remove(force=True, timeout=0)


class PodmanOnBridge(Podman):
    """podman at a shell, with another pod on the bridge already."""

    def __enter__(self) -> PodmanOnBridge:
        super().__enter__()
        try:
            self.shell("network", "create", "--subnet", _SUBNETS[PODMAN], NETWORK)
            self.shell("pod", "create", "--network", NETWORK, "--name", "first")
            self.shell("pod", "start", "first")
        except BaseException:
            self.__exit__()
            raise
        return self

    def turn(self, clock: Clock) -> None:
        """Start and remove a pod by commands."""
        ports = [word for port in PORTS for word in ("-p", port)]
        created = self.shell("pod", "create", "--network", NETWORK, *ports, "--name", "second")
        clock.add(UP, created + self.shell("pod", "start", "second"))
        clock.add(DOWN, self.shell("pod", "rm", "-f", "-t", "0", "second"))


def measure(settings: Settings) -> Report:
    """Return the times of starting and removing a pod on a bridge, and of its traffic."""
    report = Report("networks", "A pod on a bridge with two published ports, and its traffic, ms")
    if shutil.which("nft") is None:
        raise Unavailable("nft (Debian: nftables) is not installed")
    with Workspace(settings.directory) as place:
        with OwnNetwork() as host, host.entered():
            _measure_pods(report, settings, place, host)
        _measure_traffic(report, settings, place)
    report.notes.append("the bridges have another pod on them already; podman's and ours have name servers")
    report.notes = list(dict.fromkeys(report.notes))
    return report


def _measure_pods(report: Report, settings: Settings, place: Workspace, host: OwnNetwork) -> None:
    from pypod import Engine

    with Engine(f"{place.directory}/pypod") as engine:
        network = engine.networks.create(NETWORK, subnets=[_SUBNETS[PYPOD]])
        try:
            engine.pods.create(network=NETWORK).start()
            one = _contest(report, settings, place, engine, 1)
            _cycle(report, settings, engine, host)
            many = settings.choose(MANY, 20)
            for number in range(many - 1):
                engine.pods.create(network=NETWORK, ports=[f"{20000 + number}:80"]).start()
            _contest(report, settings, place, engine, many, than=one)
        finally:
            for pod in engine.pods.list():
                pod.remove(force=True, timeout=0)
            network.remove(force=True)


def _contest(
    report: Report, settings: Settings, place: Workspace, engine: Engine, up: int, than: float | None = None
) -> float | None:
    """Add rows for a pod beside ``up`` others; return pypod's start time. ``than`` is its start time beside one."""
    floor = Floor(place, engine, f"floor-{up}", network=NETWORK, ports=PORTS)
    podman = PodmanOnBridge(place, every=settings.choose(10, 3))
    contestants: Sequence[Contestant] = (Library(engine), floor, *([] if than else [podman]))
    samples, reasons = compete(contestants, settings.choose(100, 6), progress=f"{report.name}, {up} up")
    part = Report(report.name, report.title, rows=rows((UP, DOWN), contestants, samples, reasons))
    part.compare(_GOALS)
    ours = part.rows[0]
    if than and ours.median:
        ours.goal = f"<= {_TIMES_MANY}x that with 1 up ({ours.median / than:.2f}x)"
        ours.met = ours.median <= _TIMES_MANY * than
    for row in part.rows:
        row.operation += f", {up} up"
    report.rows += part.rows
    report.notes += [*floor.notes, *note_reasons(reasons)]
    if fastest := samples.get((UP, PYPOD)):
        report.notes.append(f"{UP}, {up} up: pypod's fastest tenth {percentile(sorted(fastest), 10):.2f} ms")
    return ours.median


def _cycle(report: Report, settings: Settings, engine: Engine, host: OwnNetwork) -> None:
    """Add a note on what many pods leave behind after their removal."""
    cycles = settings.choose(200, 20)
    time.sleep(_SETTLE_S)
    before = _there_is(engine, host)
    clock, own = Clock(), Library(engine)
    for _ in range(cycles):
        own.turn(clock)
    deadline = time.monotonic() + _GONE_S  # the kernel destroys veths asynchronously
    while (left := _more(_there_is(engine, host), before)) and time.monotonic() < deadline:
        time.sleep(0.1)
    report.notes.append(f"left after {cycles} pods were started and removed: {', '.join(left) or 'nothing'}")


def _there_is(engine: Engine, host: OwnNetwork) -> dict[str, list[str]]:
    """Return the existing interfaces, lines of the rule set, sockets, assigned addresses and open files."""
    given = engine.database.read("SELECT network_id, address FROM addresses")
    return {
        "interface": [line.split(": ")[1] for line in host("ip", "-o", "link").splitlines()],
        "line of the rule set": host("nft", "list", "ruleset").splitlines(),
        "socket": host("ss", "-Hanptu").splitlines(),
        "given address": [str(row) for row in given],
        "open file of this process": os.listdir("/proc/self/fd"),
    }


def _more(now: dict[str, list[str]], before: dict[str, list[str]]) -> list[str]:
    """Return descriptions of the kinds that have gained or lost members."""
    counts = {what: len(now[what]) - len(before[what]) for what in now}
    return [
        f"{count:+d} {what}" for what, count in counts.items() if count or sorted(now[what]) != sorted(before[what])
    ]


def _measure_traffic(report: Report, settings: Settings, place: Workspace) -> None:
    program = place.compile("traffic-program", os.path.join(os.path.dirname(__file__), "traffic.c"))
    samples: dict[tuple[str, str], list[float]] = {}
    ratios: dict[str, list[float]] = {operation: [] for operation in OPERATIONS}
    for _ in range(settings.choose(5, 1)):  # set up anew each time: the kernel's placement of memory matters
        with Pods(place, program) as pods, ByHand(place, program) as by_hand:
            for operation in OPERATIONS:
                ours, theirs = times_by_turns(program, operation, (pods, by_hand), settings.choose(1, 50))
                samples.setdefault((operation, PYPOD), []).extend(ours)
                samples.setdefault((operation, BY_HAND), []).extend(theirs)
                ratios[operation].append(median(ours) / median(theirs))
    for (operation, contestant), times_ms in samples.items():
        row = summarise(operation, contestant, times_ms)
        if contestant == PYPOD:
            ratio, least, most = median(ratios[operation]), min(ratios[operation]), max(ratios[operation])
            row.goal = f"<= {_TIMES_BY_HAND}x by hand ({ratio:.3f}x, {least:.3f} to {most:.3f})"
            row.met = ratio <= _TIMES_BY_HAND
        report.rows.append(row)
