"""What a command would do, step by step, with nothing done: what Python does, and the plan for the C programs.

The steps are those that are performed: the same effects and the same plan (``effects.py``, ``planning.py``).
"""

from __future__ import annotations

import os

from pypod.display.markup import Shown
from pypod.engine.containers import infra, patience, planning, starting, stopping
from pypod.engine.core import kept_records, observe
from pypod.engine.core.effects import Effect, directory
from pypod.engine.networks import attachments, bridges
from pypod.engine.resources import groups
from pypod.engine.storage import overlay
from pypod.kernel.abi import SIGKILL, signal_name
from pypod.kernel.pidfd import Process
from pypod.model.namespace import PRIVATE
from pypod.model.value import Value
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pypod.engine.containers.exec import ExecSpec
    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerSpec
    from pypod.model.network import Connection
    from pypod.runtime.ops import Plan
    from pypod.store.records import ContainerRecord, PodRecord

PYTHON, SUPERVISOR, CHILD = "python", "supervisor", "process"
# An infra that does not run yet has no number; no process is number 0.
_UNKNOWN = Process(0, 0)
_WORDS_LIMIT = 240


class Step(Value):
    """One operation: ``words`` with its arguments, the manual ``page`` of the call behind it, and who makes it.

    ``by`` is python (this process), supervisor (the launcher or monitor) or process (the new one, before its exec).
    """

    words: str
    page: str
    by: str


class Explanation(Shown, Value):
    """What would be done, in order. ``str()`` gives a numbered line for each step, a notebook shows a table."""

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
    """Return what creating ``what`` does: it is remembered, and that is all."""
    words = f"write {rows} row{'s' if rows > 1 else ''} for the {what} into {context.database.path}"
    return Explanation(steps=(Step(words=words, page="pwrite(2)", by=PYTHON),))


def of_start(
    context: Context, record: ContainerRecord, terminal: planning.Terminal | None = None, *, attended: bool = False
) -> Explanation:
    """Return what a start of this container would do now; its pod's infra first, if that is not running."""
    pod = records.find_pod(context.database, record.pod_id) if record.pod_id else None
    infra_record = records.find_container(context.database, pod.infra_id) if pod and pod.infra_id else None
    spec = context.container_spec(record)
    return of_run(context, record, spec, pod, infra_record, terminal, attended=attended)


def of_run(
    context: Context,
    record: ContainerRecord,
    spec: ContainerSpec,
    pod: PodRecord | None = None,
    infra_record: ContainerRecord | None = None,
    terminal: planning.Terminal | None = None,
    *,
    attended: bool = False,
    asked: Sequence[Connection] = (),
    asked_by_pod: Sequence[Connection] = (),
) -> Explanation:
    """Return what a start would do, of records that need not be in the store.

    ``asked`` and ``asked_by_pod`` are the connections of a container and a pod that are not there.
    """
    steps: list[Step] = []
    process = None
    if pod is not None and infra_record is not None and not infra.is_ready(context, pod):
        steps += _infra_steps(context, pod, infra_record, asked_by_pod)
        process = _UNKNOWN
    running = observe.container_state(context.layout.container(record.id), context.boot_id).running
    if running:
        return Explanation(steps=())
    steps += _container_steps(context, record, spec, pod, process, terminal, attended=attended, asked=asked)
    return Explanation(steps=tuple(steps))


def _container_steps(
    context: Context,
    record: ContainerRecord,
    spec: ContainerSpec,
    pod: PodRecord | None,
    process: Process | None,
    terminal: planning.Terminal | None = None,
    *,
    attended: bool = False,
    asked: Sequence[Connection] = (),
) -> list[Step]:
    own = context.layout.container(record.id)
    if observe.container_state(own, context.boot_id).running:
        return []
    wires = attachments.preview(context, record.id, asked) if spec.net == PRIVATE else ()
    driver = overlay.driver_of(context, spec, own)
    made = [
        *_missing(own),
        *groups.for_monitors(context),
        *starting.preparations(context, record, spec, driver),
        *bridges.preparations(context, attachments.networks_of(wires)),
        *starting.files_of(context, record, spec, pod, wires),
        kept_records.keep(context, record, pod),
    ]
    terminal = terminal or planning.Terminal()
    group = starting.group_of(context, record, spec, pod)
    what = planning.container_plan(
        context, record, spec, pod, terminal, group, driver, attended=attended, infra=process, wires=wires
    )
    return [
        *_effects(made),
        *_effects(groups.renewal(context, group)),
        *_plan(what, "monitor", groups.monitors(context)),
    ]


def of_pod_start(context: Context, pod: PodRecord) -> Explanation:
    """Return what starting a pod and its members would do."""
    steps: list[Step] = []
    if pod.infra_id and not infra.is_ready(context, pod):
        steps += _infra_steps(context, pod, records.find_container(context.database, pod.infra_id))
    for record in records.all_containers(context.database, pod_id=pod.id):
        if record.kind == records.CONTAINER:
            process = _UNKNOWN if pod.infra_id and steps else None
            steps += _container_steps(context, record, context.container_spec(record), pod, process)
    return Explanation(steps=tuple(steps))


def _infra_steps(
    context: Context, pod: PodRecord, record: ContainerRecord, asked: Sequence[Connection] = ()
) -> list[Step]:
    wires = attachments.preview(context, record.id, asked)
    group = groups.of_infra(context, record, context.pod_spec(pod))
    made = [
        *_missing(context.layout.pod(pod.id)),
        *infra.preparations(context, record, pod, group),
        *bridges.preparations(context, attachments.networks_of(wires)),
        kept_records.keep(context, record, pod),
    ]
    files = infra.files_of(context, pod, record, wires)
    plan = infra.infra_plan(context, pod, record, wires, group)
    return [*_effects(made), *_plan(plan, "launcher", ""), *_effects([files])]


def _missing(path: str) -> list[Effect]:
    return [] if os.path.isdir(path) else [directory(path)]


def _effects(effects: Iterable[Effect]) -> Iterator[Step]:
    for effect in effects:
        yield Step(words=effect.words, page=effect.page, by=PYTHON)


def _plan(plan: Plan, program: str, group: str | None = None) -> Iterator[Step]:
    """Yield the start of a program, which leaves its caller for a ``group`` (launcher.Launching), and its plan."""
    yield Step(words=f"start the {program}", page="posix_spawn(3)", by=PYTHON)
    if group:
        yield Step(words=f"put the supervisor into cgroup {group}", page="clone(2)", by=SUPERVISOR)
    if group is not None:
        yield Step(words="leave the caller's session", page="setsid(2)", by=SUPERVISOR)
    by = SUPERVISOR
    for op in plan.ops:
        yield Step(words=op.describe().replace("process 0", "the infra"), page=op.page, by=by)
        if op.name == "clone":
            by = CHILD


def of_exec(context: Context, record: ContainerRecord, spec: ExecSpec) -> Explanation:
    """Return what an exec would do. Raises WrongState when the container does not run."""
    from pypod.engine.containers import exec as execution

    state = execution.running_state(context, record)
    plan = execution.exec_plan(context, record, context.container_spec(record), spec, state)
    return Explanation(steps=tuple(_plan(plan, "launcher")))


def of_stop(context: Context, all_records: Sequence[ContainerRecord], timeout_s: float | None = None) -> Explanation:
    """Return what stopping containers would do."""
    steps: list[Step] = []
    for record in all_records:
        one = stopping.find_running(context, record)
        if one is None:
            continue
        try:
            request = stopping.request(context, one, timeout_s, patience.STARTING_S)
            reach, left_s = request.look()
        finally:
            one.close()
        group = context.cgroups.tracking_directory(record.cgroup)
        words = (
            *_asking(request, record.name, reach, left_s),
            (f"kill what is left in cgroup {group}", "cgroups(7)"),
            (f"remove cgroup {group}", "rmdir(2)"),
        )
        steps += [Step(words=text, page=page, by=PYTHON) for text, page in words]
    return Explanation(steps=tuple(steps))


def _asking(request: patience.Request, name: str, reach: str, left_s: float) -> Iterator[tuple[str, str]]:
    """Yield how a process is asked to end, and what happens if it does not."""
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
