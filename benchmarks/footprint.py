"""How much memory does pypod use for a pod and for a container? Proportional set size, compared with podman's."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack

from benchmarks.harness import PODMAN, PYPOD, Goal, Report, Settings, Unavailable, summarise
from benchmarks.peers import Podman
from benchmarks.workspace import Workspace

_SETTLE_S = 0.2
GOALS = {
    "infra": Goal(limit=32),
    "monitor": Goal(limit=128),
}


def pss_kb(pid: int) -> float:
    """Return the proportional set size of a process in kB: its private pages, and its share of the shared ones."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return next(float(line.split()[1]) for line in file if line.startswith("Pss:"))


def _of_pypod(place: Workspace, count: int) -> dict[str, list[float]]:
    from pypod import Engine

    with ExitStack() as stack:
        engine = stack.enter_context(Engine(f"{place.directory}/pypod-{count}"))
        found: dict[str, list[float]] = {"infra": [], "monitor": [], "all": []}
        pairs = []
        for _ in range(count):
            pod = engine.pods.create()
            stack.callback(pod.remove, force=True, timeout=0)
            container = pod.run(["sleep", "1000"], rootfs=place.rootfs)
            infra = pod.infra
            assert infra is not None
            pairs.append((infra.state().pid, container.state().supervisor_pid))
        time.sleep(_SETTLE_S)
        for infra_pid, monitor_pid in pairs:
            infra_kb, monitor_kb = pss_kb(infra_pid), pss_kb(monitor_pid)
            found["infra"].append(infra_kb)
            found["monitor"].append(monitor_kb)
            found["all"].append(infra_kb + monitor_kb)
        return found


def _of_podman(place: Workspace, count: int, notes: list[str]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"infra": [], "monitor": [], "all": []}
    with Podman(place, label=f"podman-{count}") as podman:
        notes += podman.notes
        for number in range(count):
            name = f"p{number}"
            podman.shell("pod", "create", "--network", "none", "--name", name)
            podman.shell(
                "run", "-d", "--pod", name, "--name", f"c{number}", "--rootfs", f"{place.rootfs}:O", "sleep", "1000"
            )
        time.sleep(_SETTLE_S)
        for number in range(count):
            infra_id = podman.shell.output("pod", "inspect", "--format", "{{.InfraContainerID}}", f"p{number}")
            numbers = [
                podman.shell.output("inspect", "--format", "{{.State.Pid}} {{.State.ConmonPid}}", ref).split()
                for ref in (infra_id, f"c{number}")
            ]
            (infra, of_infra), (_, of_container) = [[pss_kb(int(pid)) for pid in pair] for pair in numbers]
            found["infra"].append(infra)
            found["monitor"].append(of_container)
            found["all"].append(infra + of_infra + of_container)
    return found


def measure(settings: Settings) -> Report:
    """Return the memory of infra and monitor, alone and among many."""
    report = Report("footprint", "Memory: proportional set size, kB", unit="kB")
    many = settings.choose(50, 5)
    with Workspace(settings.directory) as place:
        for count in (1, many):
            found = {PYPOD: _of_pypod(place, count)}
            try:
                found[PODMAN] = _of_podman(place, min(count, 10), report.notes)
            except (Unavailable, OSError) as error:
                report.notes.append(f"{PODMAN} does not take part: {error}")
            for kind, name in (("infra", "infra"), ("monitor", "monitor"), ("all", "a pod with a container, all told")):
                for contestant, kinds in found.items():
                    up = len(kinds[kind])
                    operation = name if up == 1 else f"{name}, one of {many}"
                    report.rows.append(summarise(operation, contestant, kinds[kind]))
    report.compare({**GOALS, **{f"{kind}, one of {many}": goal for kind, goal in GOALS.items()}})
    report.notes = list(dict.fromkeys(report.notes))
    report.notes.append("podman's infra is catatonit -P; each of its containers, the infra too, has a conmon")
    report.notes.append(f"podman is measured with at most 10 pods; page size {os.sysconf('SC_PAGESIZE')} bytes")
    return report
