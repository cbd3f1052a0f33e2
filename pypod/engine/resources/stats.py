"""Resource usage of containers, read from their cgroups and network namespaces."""

from __future__ import annotations

import os
import time

from pypod.engine.core import observe
from pypod.engine.resources.groups import pod_group
from pypod.errors import InvalidSpec, Unsupported
from pypod.kernel.proc import parse_net_dev, read_text
from pypod.model.reports.stats import Stats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerState
    from pypod.store.records import ContainerRecord


def follow(
    context: Context, records_now: Callable[[], Sequence[ContainerRecord]], interval_s: float
) -> Iterator[tuple[Stats, ...]]:
    """Yield the statistics of the running containers, at once and every ``interval_s`` seconds, until none is running.

    Raises InvalidSpec for an interval that is not positive, and what ``records_now`` raises.
    """
    if interval_s <= 0:
        raise InvalidSpec("interval", f"the interval must be positive, not {interval_s:g}")
    return _follow(context, records_now, interval_s)


def _follow(
    context: Context, records_now: Callable[[], Sequence[ContainerRecord]], interval_s: float
) -> Iterator[tuple[Stats, ...]]:
    before: dict[str, Stats] = {}
    while found := look(context, records_now(), before):
        yield found
        before = {one.id: one for one in found}
        time.sleep(interval_s)


def look(
    context: Context,
    all_records: Iterable[ContainerRecord],
    before: Mapping[str, Stats] | None = None,
    *,
    all: bool = False,
) -> tuple[Stats, ...]:
    """Return the statistics of the running containers, paused ones included; ``before`` is the last sample, by id.

    With ``all`` the others are included, with nothing counted.
    """
    survey = _Survey(context, before or {})
    found = (survey.of(record) or (survey.idle(record) if all else None) for record in all_records)
    return tuple(one for one in found if one is not None)


class _Survey:
    """One sample: what all containers have in common is read once."""

    def __init__(self, context: Context, before: Mapping[str, Stats]) -> None:
        self._context = context
        self._before = before
        self._memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        self._pod_limits: dict[str, int] = {}
        self._networks: dict[str, tuple[int, int]] = {}
        self._host_network = context.proc.namespaces(os.getpid(), ("net",))

    @staticmethod
    def idle(record: ContainerRecord) -> Stats:
        """Return the statistics of a container that is not running."""
        return Stats(id=record.id, name=record.name, pod_id=record.pod_id, running=False, time_ns=time.time_ns())

    def of(self, record: ContainerRecord) -> Stats | None:
        """Return the statistics of a container, None when it is not running."""
        context = self._context
        state = observe.state_of(context, record.id)
        if not state.running:
            return None
        if not record.cgroup:
            message = f"cannot run top on container {record.id} as it did not create a cgroup"
            raise Unsupported("cgroups", f"{message}: this container does not have a cgroup")
        usage = context.cgroups_of(record).usage(record.cgroup)
        now_ns = time.time_ns()
        cpu_ns = usage.cpu_ns or 0
        last = self._before.get(record.id)
        # a counter below the last sample's: the container was restarted, in a new cgroup
        start = (0, state.started_ns) if last is None or cpu_ns < (last.cpu_ns or 0) else (last.cpu_ns, last.time_ns)
        network = self._network(state)
        return Stats(
            id=record.id,
            name=record.name,
            pod_id=record.pod_id,
            time_ns=now_ns,
            cpu_percent=_percent(cpu_ns - (start[0] or 0), now_ns - start[1]),
            average_cpu_percent=_percent(cpu_ns, now_ns - state.started_ns),
            cpu_ns=usage.cpu_ns,
            system_ns=usage.system_ns,
            memory_bytes=usage.memory_bytes,
            memory_limit_bytes=min(usage.memory_limit_bytes or self._memory_bytes, self._limit_of_pod(record)),
            pids=usage.pids,
            network_input_bytes=network[0],
            network_output_bytes=network[1],
            block_input_bytes=usage.read_bytes,
            block_output_bytes=usage.written_bytes,
        )

    def _limit_of_pod(self, record: ContainerRecord) -> int:
        path = pod_group(record)
        if not path:
            return self._memory_bytes
        if path not in self._pod_limits:
            limit = self._context.cgroups.memory_limit(path)
            self._pod_limits[path] = min(limit or self._memory_bytes, self._memory_bytes)
        return self._pod_limits[path]

    def _network(self, state: ContainerState) -> tuple[int, int]:
        """Return bytes received and sent; zeros in the host's network namespace, whose traffic is everybody's."""
        namespace = self._context.proc.namespaces(state.pid, ("net",))
        if not namespace or namespace == self._host_network:
            return 0, 0
        inode = str(namespace["net"])
        if inode not in self._networks:
            self._networks[inode] = parse_net_dev(read_text(f"{self._context.proc.root}/{state.pid}/net/dev"))
        return self._networks[inode]


def _percent(part_ns: int, whole_ns: int) -> float:
    """podman's formula: processor time as a share of elapsed time, in percent of one processor."""
    return 100 * part_ns / whole_ns if part_ns > 0 and whole_ns > 0 else 0.0
