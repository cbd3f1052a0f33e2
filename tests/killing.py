"""SIGKILL at a chosen system call of an action, and a check of what is left."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from pypod import Engine, PypodError
from pypod.engine.containers.collect import repair
from pypod.engine.containers.listing import listed_containers
from pypod.engine.storage import drivers, trash
from tests import tracing
from tests.facts import created_nothing, is_there, wait_until

# (number of points, number to take): the chosen points
Points = Callable[[int, int], range]
# name: (preparation, action in which a process is killed)
Actions = dict[str, tuple[Callable[[Engine, str], object], Callable[[Engine, str], object]]]


class Table:
    """Runs actions, each in a storage directory of its own; calls ``look`` after each."""

    def __init__(
        self,
        base: Path,
        busybox: str,
        actions: Actions,
        look: Callable[[Engine, str], None],
    ) -> None:
        self._base = base
        self._busybox = busybox
        self._actions = actions
        self._look = look
        self._count = 0

    def operate(
        self, name: str, kill: tuple[int, int] | None, *, follow: bool = False, number: int = signal.SIGKILL
    ) -> list[int]:
        """Run an action in which a process is killed, then call ``look``; return the counts of system calls."""
        prepare, act = self._actions[name]
        self._count += 1
        root = str(self._base / f"storage-{self._count}")
        with Engine(root) as engine:
            if name != "run":  # which is also to be the first action in its storage
                drivers.of(engine)
            prepare(engine, self._busybox)

        def traced() -> None:
            try:
                act(Engine(root), self._busybox)
            except PypodError:
                if not follow:
                    raise
            except KeyboardInterrupt:
                if number != signal.SIGINT:
                    raise

        counts = tracing.run(traced, kill, follow=follow, number=number)
        with Engine(root) as engine:
            self._look(engine, f"{name}, killed at {kill}")
        return counts


def look_and_clean(engine: Engine, where: str) -> None:
    listed = {record.id: record for record, _ in listed_containers(engine)}
    groups = {identifier: record.cgroup for identifier, record in listed.items()}
    wait_until(lambda: says_what_is(engine, groups))  # a monitor may still be at work
    seen = {record.name: state.status for record, state in listed_containers(engine)}
    for pod in engine.pods.list():
        assert pod.status != "Broken", where
        pod.remove(force=True, timeout=0)
    for container in engine.containers.list(all=True):
        container.remove(force=True, timeout=0)
    for volume in engine.volumes.list():
        assert Path(volume.mount()).is_dir(), where
        volume.remove(force=True, timeout=0)
    repair(engine)
    assert created_nothing(engine), (where, seen)
    assert engine.volumes.list() == [], where
    assert not any(Path(engine.layout.volumes).glob("*")), where
    wait_until(lambda: not trash.contents(engine))
    for group in groups.values():
        assert not Path(engine.cgroups.tracking_directory(group)).exists(), (where, seen)
    with Engine(engine.layout.root) as other:
        other.pods.create("p").remove()
        other.pods.create("c").remove()


def says_what_is(engine: Engine, groups: dict[str, str]) -> bool:
    """Return whether the containers listed as running are those with processes, including their first ones."""
    for record, state in listed_containers(engine):
        if record.id not in groups:
            return False
        living = [pid for pid in engine.cgroups.processes(groups[record.id]) if is_there(pid)]
        if state.alive != bool(living) or (state.alive and state.pid not in living):
            return False
    return True
