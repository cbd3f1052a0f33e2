"""The C floor program as a contestant: build it, check that it does the same as pypod, and run its repetitions."""

from __future__ import annotations

import glob
import json
import os
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from benchmarks.harness import FLOOR, Clock, Unavailable
from benchmarks.workspace import Workspace, remove_group

if TYPE_CHECKING:
    from typing import Self

    from pypod import Engine, Pod
    from pypod.engine.networks.running import Attachment
    from pypod.runtime.ops import Plan

_HERE = os.path.dirname(os.path.abspath(__file__))
_PAUSE = os.path.join(os.path.dirname(_HERE), "pause")
_ROOMS = ("common", "root", "process")
_SOURCES = (f"{_HERE}/floor.c", *(path for room in _ROOMS for path in sorted(glob.glob(f"{_PAUSE}/{room}/*.c"))))
_END_TIMEOUT_S = 10.0
_OF_NETWORK = frozenset("hold netlink_host clone wait netlink".split())
_ALWAYS_THE_SAME = frozenset(
    "propagation mount bind device symlink mask read_only resource_limit user umask working_directory "
    "no_new_privileges capabilities".split()
)


class Floor:
    """benchmarks/floor.c, one repetition per turn. With a network it creates and removes a pod that is connected to it.

    ``options`` are the pod's, as ``engine.pods.create`` takes them. They name a network of ``engine`` whose bridge
    exists already.
    """

    name = FLOOR
    every = 1

    def __init__(self, place: Workspace, engine: Engine | None = None, label: str = "floor", **options: Any) -> None:
        self._place = place
        self._engine = engine
        self._label = label
        self._options = options
        self._pod: Pod | None = None
        self._process: subprocess.Popen[str] | None = None
        self._group = ""
        self.notes: list[str] = []

    def __enter__(self) -> Self:
        from pypod import Engine

        directory = self._place.make(self._label)
        program = self._place.compile("floor-program", *_SOURCES, include=_PAUSE)
        with ExitStack() as stack:
            engine = self._engine or stack.enter_context(Engine(f"{self._place.directory}/floor-check"))
            driver = engine.cgroups
            if not driver.clones_into_cgroup:
                raise Unavailable("floor.c needs a cgroup v2 tree")
            self._group = driver.tracking_directory(f"/pypod-floor.{os.getpid()}")
            filter_path = f"{self._place.directory}/floor-filter"
            arguments = [
                program,
                directory,
                self._place.rootfs,
                self._group,
                filter_path,
                os.path.join(os.path.dirname(_HERE), "pypod", "_libexec"),
                ",".join(os.path.basename(one.target) for one in driver.trees(())),
            ]
            if self._options:
                self._pod = engine.pods.create(**self._options)
            said = [*arguments, "0", *filter(None, [self._network()])]
            self.notes = _check(engine, self._place, said, filter_path, self._options)
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(_END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        if self._group:
            for tree in ("unified", "pids", "memory"):
                remove_group(self._group.replace("/unified/", f"/{tree}/"))
        if self._pod is not None:
            self._pod.remove(force=True)

    def _network(self) -> str:
        """Write pypod's current plan to connect its pod to a file; return its path, empty for a pod with lo only."""
        if self._pod is None:
            return ""
        assert self._engine is not None
        path = f"{self._place.directory}/floor-network"
        with open(path, "wb") as file:
            file.write(_network_plan(self._engine, self._pod).encode())
        return path

    def turn(self, clock: Clock) -> None:
        """Run one repetition."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            process.stdin.write(f"{self._network()}\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # its error message is read below
        line = process.stdout.readline()
        if not line:
            raise Unavailable(process.stderr.read().strip().replace("\n", ", ") or "floor ended without a message")
        for operation, times_us in json.loads(line).items():
            clock.add(operation, *(time_us / 1000 for time_us in times_us))


def _network_plan(engine: Engine, pod: Pod) -> Plan:
    """Return the network operations of a start of the pod as of now, and those that undo them."""
    from pypod.engine.networks import attachments, published
    from pypod.runtime.ops import Plan

    assert pod.infra is not None
    attached = attachments.preview(engine, pod.infra.id)
    ops = [op for op in _infra_plan(engine, pod, attached).ops if op.name in _OF_NETWORK]
    led = published.forward_ops(pod.spec().ports, attached, pod.name, watched=True)
    return Plan([op for op in led if op.name == "netlink_end"] + ops)


def _infra_plan(engine: Engine, pod: Pod, attached: tuple[Attachment, ...]) -> Plan:
    from pypod.engine.lifecycle.infra_start import InfraStart

    assert pod.infra is not None
    return InfraStart.resolve(engine, pod.infra.record(), pod.record()).plan(attached)


def _check(
    engine: Engine, place: Workspace, arguments: list[str], filter_path: str, options: dict[str, Any]
) -> list[str]:
    """Compare the floor's plans with pypod's and return notes on differences. Writes the filter that both load."""
    from pypod.engine.lifecycle.derived import filter_of
    from pypod.engine.lifecycle.exec import Exec, ExecSpec
    from pypod.engine.lifecycle.plan import container_plan
    from pypod.engine.lifecycle.start import Start
    from pypod.engine.networks.running import of_container

    pod = engine.pods.create(**options)
    try:
        pod.start()
        assert pod.infra is not None
        # before there are members: these add the pod's cgroup to more trees
        infra = _infra_plan(engine, pod, of_container(engine, pod.infra.id))
        container = pod.run(["sleep", "1000"], rootfs=place.rootfs)
        record, spec = container.record(), container.spec()
        plans = {
            "infra": infra,
            "container": container_plan(Start.resolve(engine, record, spec, pod.record())),
            "exec": Exec.resolve(engine, record, ExecSpec(command=("true",)), container.state()).plan(),
        }
        with open(filter_path, "wb") as file:
            file.write(filter_of(engine, spec)[0])
    finally:
        pod.remove(force=True, timeout=0)
    said = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    lines = [line.split("\t") for line in said.splitlines()]
    notes = []
    for name, plan in plans.items():
        done = [(int(words[1]), tuple(words[2:])) for words in lines if words[0] == name]
        notes += _differences(name, done, plan)
    return notes


def _differences(name: str, done: list[tuple[int, tuple[str, ...]]], plan: Plan) -> list[str]:
    """Return a note on the operations that only one of the plans has, or on a different order."""
    from pypod.runtime.operations import OPERATIONS

    names = {row[0]: operation for operation, row in OPERATIONS.items()}
    start = [op.name for op in plan.ops].index("clone")
    ours = [_shown(op.name, tuple(map(str, op.arguments))) for op in plan.ops[start:]]
    theirs = [_shown(names[number], arguments) for number, arguments in done]
    missing = [op for op in dict.fromkeys(ours) if ours.count(op) > theirs.count(op)]
    more = [op for op in dict.fromkeys(theirs) if theirs.count(op) > ours.count(op)]
    what = [f"lacks `{op}`" for op in missing] + [f"also has `{op}`" for op in more]
    if not what and ours != theirs:
        what = ["has a different order"]
    return [f"the floor's {name} plan differs from pypod's: it {', '.join(what)}"] if what else []


def _shown(name: str, arguments: tuple[str, ...]) -> str:
    """Return an operation, with its arguments if they do not depend on the pod."""
    return " ".join((name, *arguments)) if name in _ALWAYS_THE_SAME else name
