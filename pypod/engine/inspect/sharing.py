"""Shared namespaces: a table with a row per kind and a column per process."""

from __future__ import annotations

import os

from pypod.display.markup import Shown
from pypod.engine.core import observe
from pypod.errors import NoSuchContainer, NoSuchPod, NotFound, WrongState
from pypod.kernel.abi import DIGITS_LIMIT, KINDS
from pypod.kernel.pidfd import PROC
from pypod.model.value import Value
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.store.records import ContainerRecord, PodRecord

HOST, INFRA, MEMBER, CONTAINER, PROCESS = "host", "infra", "member", "container", "process"
_MARKS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class NoSuchProcess(NotFound):
    """No process has this pid."""

    kind = "process"


class Column(Value):
    """One process: ``role`` is host, infra, member, container or process; ``name`` is its display name."""

    name: str
    role: str
    pid: int


class Row(Value):
    """One kind of namespace: the inode for each column, None where it is not visible."""

    kind: str
    inodes: tuple[int | None, ...]

    @property
    def marks(self) -> tuple[str, ...]:
        """A letter for each distinct inode, assigned from A on in the order of the columns.

        >>> Row(kind="net", inodes=(7, 9, 9, None)).marks
        ('A', 'B', 'B', '-')
        """
        known: dict[int, str] = {}
        return tuple("-" if one is None else known.setdefault(one, _mark(len(known))) for one in self.inodes)


class Matrix(Shown, Value):
    """Columns and rows, in the order of ``lsns``' kinds. ``str()`` renders it as text, a notebook as a table."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def shared(self) -> dict[str, bool]:
        """Return kind -> whether all columns are in one namespace."""
        return {row.kind: len(set(row.inodes)) == 1 for row in self.rows}

    def lines(self, *, inodes: bool = False) -> list[list[str]]:
        """Return the table as rows of text, the heading first."""
        heading = ["NAMESPACE", *(column.name for column in self.columns)]
        if not inodes:
            return [heading, *([row.kind, *row.marks] for row in self.rows)]
        return [heading, *([row.kind, *map(_number, row.inodes)] for row in self.rows)]

    def __str__(self) -> str:
        lines = self.lines()
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    def _repr_html_(self) -> str:
        from pypod.display.markup import element, table, tinted

        heading = ("namespace", *(column.name for column in self.columns))
        rows = []
        for row in self.rows:
            cells = zip(row.marks, row.inodes, strict=True)
            rows.append((row.kind, *((tinted(mark), f" {_number(inode)}") for mark, inode in cells)))
        note = "in a row, the same letter is the same namespace"
        return element("div", table(heading, rows), element("p", note))


def _number(inode: int | None) -> str:
    return "-" if inode is None else str(inode)


def _mark(number: int) -> str:
    letters = _MARKS[number % len(_MARKS)]
    return letters if number < len(_MARKS) else f"{letters}{number // len(_MARKS)}"


def pod_matrix(context: Context, pod: PodRecord) -> Matrix:
    """Return the namespaces shared in a pod: by the host (this process), the infra, and each running member."""
    columns = [Column(name=HOST, role=HOST, pid=os.getpid())]
    for one in records.all_containers(context.database, pod_id=pod.id):
        if pid := _pid(context, one):
            is_infra = one.kind == records.INFRA
            columns.append(Column(name=INFRA if is_infra else one.name, role=INFRA if is_infra else MEMBER, pid=pid))
    return matrix(columns)


def column(context: Context, ref: str | int) -> Column:
    """Return the process that a container's or pod's name or id, or a pid, refers to.

    Raises NoSuchProcess when there is none, WrongState when the container or pod is not running.
    """
    if isinstance(ref, int):
        return _process(ref)
    try:
        container = records.find_container(context.database, ref)
    except NoSuchContainer:
        pass
    else:
        return Column(name=container.name, role=CONTAINER, pid=_running(context, container))
    try:
        pod = records.find_pod(context.database, ref)
    except NoSuchPod:
        if ref.isascii() and ref.isdigit() and len(ref) <= DIGITS_LIMIT:
            return _process(int(ref))
        raise NoSuchProcess(ref, hint="give a container, a pod or a pid") from None
    first = next(iter(records.all_containers(context.database, pod_id=pod.id)), None)
    if first is None:
        raise WrongState(pod.name, "Created", f"pod {pod.name} has neither an infra nor members")
    return Column(name=pod.name, role=INFRA, pid=_running(context, first))


def _process(pid: int) -> Column:
    if PROC.stat(pid) is None:
        raise NoSuchProcess(str(pid), hint="give a container, a pod or a pid")
    return Column(name=str(pid), role=PROCESS, pid=pid)


def _running(context: Context, record: ContainerRecord) -> int:
    state = observe.state_of(context, record.id)
    if not state.alive:
        raise WrongState(record.name, state.status, f"container {record.name} is {state.status}: it has no namespaces")
    return state.pid


def _pid(context: Context, record: ContainerRecord) -> int:
    state = observe.state_of(context, record.id)
    return state.pid if state.alive else 0


def matrix(columns: list[Column]) -> Matrix:
    """Return the table for some processes, without the kinds that this kernel does not support."""
    seen = [PROC.namespaces(column.pid) or {} for column in columns]
    rows = []
    for kind in KINDS:
        inodes = tuple(found[kind][1] if kind in found else None for found in seen)
        if any(one is not None for one in inodes):
            rows.append(Row(kind=kind, inodes=inodes))
    return Matrix(columns=tuple(columns), rows=tuple(rows))
