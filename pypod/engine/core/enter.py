"""Enter namespaces from Python: one thread, for the duration of a block."""

from __future__ import annotations

import os

from pypod.engine.core.boundary import Boundary
from pypod.errors import InvalidSpec, WrongState
from pypod.kernel import pidfd
from pypod.kernel.abi import NAMESPACES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from pypod.model.container import ContainerState

# setns(2): a multithreaded process may not change its user namespace, nor may a thread change its mount namespace while
# it shares root and working directory with others. A pid namespace applies to children only, and Python would have to
# fork for that.
_ENTERABLE = ("net", "uts", "ipc", "cgroup")


class Entered:
    """A context manager that puts the calling thread into other namespaces, and back into its own afterwards.

    Reusable, by one thread at a time. The process is looked up anew each time, never by its pid alone.
    """

    def __init__(self, name: str, state: ContainerState, kinds: tuple[str, ...]) -> None:
        self._name = name
        self._state = state
        self._kinds = kinds
        self._homes: list[tuple[int, int]] = []

    def __enter__(self) -> None:
        from pypod.kernel.syscalls import setns

        target = pidfd.open_process(self._state.pid, self._state.start_time)
        if target is None:
            raise _not_running(self._name)
        try:
            with Boundary(f"enter the namespaces of {self._name}"):
                for kind in self._kinds:
                    home = os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
                    self._homes.append((NAMESPACES[kind].clone_flag, home))
                    setns(target, NAMESPACES[kind].clone_flag)
        except BaseException as error:
            self._go_home()
            if isinstance(error.__cause__, ProcessLookupError):  # it is exiting and has left them already
                raise _not_running(self._name) from error
            raise
        finally:
            os.close(target)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._go_home()

    def _go_home(self) -> None:
        from pypod.kernel.syscalls import setns

        while self._homes:
            flag, home = self._homes.pop()
            try:
                setns(home, flag)
            finally:
                os.close(home)


def open_namespace(name: str, state: ContainerState, kind: str) -> int:
    """Return a descriptor of a namespace of a process; the caller closes it. Raises WrongState when it has exited."""
    target = pidfd.open_process(state.pid, state.start_time)
    if target is not None:
        try:
            opened = os.open(f"/proc/{state.pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
            if not pidfd.wait(target, 0):  # else the pid may have been reused and the namespace be another process's
                return opened
            os.close(opened)
        except (FileNotFoundError, ProcessLookupError):
            pass
        finally:
            os.close(target)
    raise _not_running(name)


def _not_running(name: str, status: str = "exited") -> WrongState:
    return WrongState(name, status, f"{name} is not running: it has no namespaces to enter")


def enter(name: str, state: ContainerState, kinds: tuple[str, ...]) -> Entered:
    """Return the context manager for the namespaces ``kinds`` of a process."""
    for kind in kinds:
        if kind not in _ENTERABLE:
            raise InvalidSpec(
                "kinds",
                f"cannot enter a {kind!r} namespace from a thread",
                hint=f"one of {', '.join(_ENTERABLE)}; exec runs a command inside all of them",
            )
    if not state.alive:
        raise _not_running(name, state.status)
    return Entered(name, state, kinds)
