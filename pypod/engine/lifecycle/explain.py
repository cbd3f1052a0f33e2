"""Explain a command step by step without performing it: the effects in Python, and the plan for the C programs.

The steps are the same objects that a real run performs (``steps.py``): the same effects and the same plan.
"""

from __future__ import annotations

import os

from pypod.display.markup import Shown
from pypod.engine.core import observe
from pypod.engine.core.effects import Effect, directory
from pypod.engine.lifecycle import infra, infra_start, patience, steps, stopping
from pypod.engine.lifecycle.infra_start import InfraStart
from pypod.engine.lifecycle.start import Start
from pypod.engine.networks import attachments
from pypod.kernel.abi import SIGKILL, signal_name
from pypod.kernel.pidfd import Process
from pypod.kernel.programs import LAUNCHER, MONITOR
from pypod.model.namespace import POD
from pypod.model.value import Value
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pypod.engine.core.context import Context
    from pypod.engine.lifecycle.exec import ExecSpec
    from pypod.engine.lifecycle.start import Caller
    from pypod.model.container import ContainerSpec, ContainerState
    from pypod.model.network import Connection
    from pypod.runtime.ops import Plan
    from pypod.store.records import ContainerRecord, PodRecord

PYTHON, SUPERVISOR, CHILD = "python", "supervisor", "process"
_CALLED = {MONITOR: "monitor", LAUNCHER: "launcher"}
# Stands for an infra that is not running yet: no process has pid 0.
_UNKNOWN = Process(0, 0)
_WORDS_LIMIT = 240


class Step(Value):
    """One operation: ``words`` with its arguments, the manual ``page`` of the underlying call, and who performs it.

    ``by`` is python (this process), supervisor (the launcher or monitor) or process (the new one, before its exec).
    """

    words: str
    page: str
    by: str


class Explanation(Shown, Value):
    """The steps that would be performed, in order; ``str()`` gives a numbered line per step, a notebook a table."""

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        if not self.steps:
            return "nothing"
        width = len(str(len(self.steps)))
        names = max(len(step.by) for step in self.steps)
        return "\n".join(
            f"{number:>{width}}  {step.by:<{names}}  {step.words}  [{step.page}]"
            for number, step in enumerate(self.steps, 1)
        )

    def _repr_html_(self) -> str:
        from pypod.display.markup import manual, table, text

        rows = [
            (number, step.by, text(step.words, _WORDS_LIMIT), manual(step.page))
            for number, step in enumerate(self.steps, 1)
        ]
        return table(
            ("", "by", "what", "call"), rows, caption="a plan: nothing of it was done" if rows else "nothing to do"
        )


def of_creation(context: Context, what: str, rows: int) -> Explanation:
    """Explain the creation of ``what``, which only writes it to the database."""
    words = f"write {rows} row{'s' if rows > 1 else ''} for the {what} into {context.database.path}"
    return Explanation(steps=(Step(words=words, page="pwrite(2)", by=PYTHON),))


def of_start(
    context: Context, record: ContainerRecord, caller: Caller | None = None, *, attended: bool = False
) -> Explanation:
    """Explain a start of this container as of now, preceded by that of its pod's infra unless the infra is running."""
    pod = records.find_pod(context.database, record.pod_id) if record.pod_id else None
    infra_record = records.find_container(context.database, pod.infra_id) if pod and pod.infra_id else None
    spec = context.container_spec(record)
    return of_run(context, record, spec, pod, infra_record, caller, attended=attended)


def of_run(
    context: Context,
    record: ContainerRecord,
    spec: ContainerSpec,
    pod: PodRecord | None = None,
    infra_record: ContainerRecord | None = None,
    caller: Caller | None = None,
    *,
    attended: bool = False,
    asked: Sequence[Connection] = (),
    asked_by_pod: Sequence[Connection] = (),
) -> Explanation:
    """Explain a start of records that need not be in the store.

    ``asked`` and ``asked_by_pod`` are the connections of a container and a pod that do not exist yet.
    """
    state = observe.state_of(context, record.id)
    if state.alive:
        return Explanation(steps=_continued(state))
    begun: list[Step] = []
    process = None
    if pod is not None and infra_record is not None and not infra.ready(context, pod):
        begun += _infra(context, pod, infra_record, asked_by_pod)
        process = _UNKNOWN
    connected = bool(asked_by_pod if spec.net == POD else asked)
    start = Start.resolve(context, record, spec, pod, caller, attended=attended, infra=process, connected=connected)
    return Explanation(steps=(*begun, *_container(start, asked)))


def of_pod_start(context: Context, pod: PodRecord) -> Explanation:
    """Explain the start of a pod and its members."""
    told: list[Step] = []
    process = None
    if pod.infra_id and not infra.ready(context, pod):
        told += _infra(context, pod, records.find_container(context.database, pod.infra_id))
        process = _UNKNOWN
    for record in sorted(records.all_containers(context.database, pod_id=pod.id), key=lambda one: not one.initializes):
        state = observe.state_of(context, record.id)
        if state.alive:
            told += _continued(state) if record.kind == records.CONTAINER else ()
        elif record.kind == records.CONTAINER:
            start = Start.resolve(context, record, context.container_spec(record), pod, infra=process)
            told += _container(start)
    return Explanation(steps=tuple(told))


def of_exec(context: Context, record: ContainerRecord, spec: ExecSpec) -> Explanation:
    """Explain an exec. Raises WrongState unless the container is running."""
    from pypod.engine.lifecycle import exec as execution

    begun = execution.Exec.resolve(context, record, spec, execution.running_state(context, record))
    return Explanation(steps=(*_effects(execution.program().preparations(context)), *_told(begun.steps())))


def _continued(state: ContainerState) -> tuple[Step, ...]:
    """Return the steps that start a container with processes: one that is initialized has all but one behind it."""
    if state.status != observe.INITIALIZED:
        return ()
    words = f"ask the monitor, process {state.supervisor_pid}, to let process {state.pid} run its program"
    return (Step(words=words, page="unix(7)", by=PYTHON),)


def _container(start: Start, asked: Sequence[Connection] = ()) -> list[Step]:
    context = start.context
    attached = attachments.preview(context, start.record.id, asked) if start.is_connected else ()
    before = (*_missing(start.directory), *steps.monitor(context, start.record, start.spec).preparations(context))
    return [*_effects(before), *_told(start.steps(attached))]


def _infra(context: Context, pod: PodRecord, record: ContainerRecord, asked: Sequence[Connection] = ()) -> list[Step]:
    attached = attachments.preview(context, record.id, asked)
    before = (*_missing(context.layout.pod(pod.id)), *infra_start.program(context).preparations(context))
    return [*_effects(before), *_told(InfraStart.resolve(context, record, pod).steps(attached))]


def _missing(path: str) -> list[Effect]:
    return [] if os.path.isdir(path) else [directory(path)]  # it holds the lock file


def _told(performed: Iterable[steps.Step]) -> Iterator[Step]:
    for one in performed:
        if isinstance(one, steps.Launch):
            yield from _plan(one.plan(), one.program)
            yield from _effects(one.meanwhile)
        else:
            yield from _effects((one,))


def _effects(effects: Iterable[Effect]) -> Iterator[Step]:
    for effect in effects:
        yield Step(words=effect.words, page=effect.page, by=PYTHON)


def _plan(plan: Plan, program: steps.Program) -> Iterator[Step]:
    """Yield the steps that start a program, which may detach from its caller (launcher.Launching), and its plan."""
    yield Step(words=f"start the {_CALLED[program.name]}", page="posix_spawn(3)", by=PYTHON)
    if program.group:
        yield Step(words=f"put the supervisor into cgroup {program.group}", page="clone(2)", by=SUPERVISOR)
    if program.group is not None:
        yield Step(words="leave the caller's session", page="setsid(2)", by=SUPERVISOR)
    by = SUPERVISOR
    for op in plan.ops:
        yield Step(words=op.describe().replace("process 0", "the infra"), page=op.page, by=by)
        if op.name == "clone":
            by = CHILD


def of_stop(context: Context, all_records: Sequence[ContainerRecord], timeout_s: float | None = None) -> Explanation:
    """Explain the stop of containers."""
    told: list[Step] = []
    for record in all_records:
        one = stopping.find_running(context, record)
        if one is None:
            continue
        try:
            request = stopping.request(context, one, timeout_s, patience.STARTING_S)
            reach, left_s = request.look()
        finally:
            one.close()
        group = context.cgroups_of(record).tracking_directory(record.cgroup)
        words = (
            *_asking(request, record.name, reach, left_s),
            (f"kill what is left in cgroup {group}", "cgroups(7)"),
            (f"remove cgroup {group}", "rmdir(2)"),
        )
        told += [Step(words=text, page=page, by=PYTHON) for text, page in words]
    return Explanation(steps=tuple(told))


def _asking(request: patience.Request, name: str, reach: str, left_s: float) -> Iterator[tuple[str, str]]:
    """Yield the steps that ask a process to end and kill it if it does not."""
    signal, process = signal_name(request.number), f"process {request.pid}"
    if left_s <= 0:
        why = f", which does not hear {signal}" if reach == patience.DROPPED else ""
        yield f"send {signal_name(SIGKILL)} to {process}{why}", "pidfd_send_signal(2)"
        return
    if reach in (patience.DELIVERED, patience.KEPT):
        yield f"send {signal} to {process} of {name}", "pidfd_send_signal(2)"
        yield f"wait up to {left_s:.3g} s for its end", "pidfd_open(2)"
    else:
        yield f"wait up to {left_s:.3g} s for the end of {process} of {name}", "pidfd_open(2)"
        yield f"send {signal} to it as soon as it handles that", "pidfd_send_signal(2)"
    yield f"send {signal_name(SIGKILL)} to {process} if it is still there", "pidfd_send_signal(2)"
