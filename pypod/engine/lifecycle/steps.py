"""The steps of a start: effects in Python, and programs that perform plans.

``performing`` performs them in order, ``explain`` prints them; neither knows the kinds of starts.
"""

from __future__ import annotations

from pypod.engine.core.effects import Effect
from pypod.engine.resources import groups
from pypod.engine.session import session
from pypod.kernel.programs import MONITOR
from pypod.model.value import Value
from pypod.runtime.launcher import Launching

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pypod.engine.core.context import Context
    from pypod.engine.networks.port_holders import ForwardedPorts
    from pypod.model.container import ContainerSpec
    from pypod.runtime.ops import Plan
    from pypod.store.records import ContainerRecord


class Program(Value):
    """A program that performs a plan: ``name`` is that of its file.

    It detaches from its caller and moves to the cgroup directory ``group`` (empty: it stays in the caller's). With None
    it remains the caller's child. ``path`` is the group's, if it is not that of all monitors.
    """

    name: str
    group: str | None = None
    path: str = ""

    def preparations(self, context: Context) -> list[Effect]:
        """Return the effects that must precede its start."""
        if not self.group:
            return session.preparations(context)
        return groups.for_monitors(context, self.path) if self.path else groups.for_monitors(context)

    def start(self, context: Context, stdio: tuple[int, int, int] = (-1, -1, -1)) -> Launching:
        """Start it: it loads while its plan is being computed."""
        path, bring = context.programs.executable(self.name), groups.bringing(context)
        return Launching(path, f"pypod-{self.name}", stdio=stdio, group=self.group, bring=bring)


def monitor(context: Context, record: ContainerRecord, spec: ContainerSpec) -> Program:
    """Return the program that starts a container and stays beside it."""
    path = groups.monitor_path(record, spec.cgroups)
    return Program(name=MONITOR, group=groups.supervised_from(context, path), path=path)


class Launch:
    """One step: a program performs a plan. ``plan`` computes it after the earlier steps were performed or explained.

    ``identifier`` is the id of the container being started, ``forwarded`` are the ports that another program forwards
    to it, and ``meanwhile`` is performed while the program works. ``undo`` stops the container when a later step fails.
    """

    __slots__ = ("forwarded", "identifier", "meanwhile", "plan", "program", "undo")

    def __init__(
        self,
        program: Program,
        plan: Callable[[], Plan],
        *,
        identifier: str = "",
        forwarded: ForwardedPorts | None = None,
        meanwhile: tuple[Effect, ...] = (),
        undo: Callable[[], object] | None = None,
    ) -> None:
        self.program = program
        self.plan = plan
        self.identifier = identifier
        self.forwarded = forwarded
        self.meanwhile = meanwhile
        self.undo = undo


if TYPE_CHECKING:
    Step = Effect | Launch
