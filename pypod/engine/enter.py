"""Enter namespaces from Python: one thread, for the length of a block."""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec, WrongState
from pypod.kernel.abi import NAMESPACES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from pypod.model.container import ContainerState

# setns(2): a thread of a threaded process may not change its user namespace, nor its mount namespace while it shares
# root and working directory with others; pid counts for children only, and Python has to fork for that.
_ENTERABLE = ("net", "uts", "ipc", "cgroup")


class Entered:
    """The calling thread is in other namespaces inside the block, and back in its own after it."""

    def __init__(self, paths: tuple[tuple[int, str], ...]) -> None:
        self._paths = paths
        self._homes: list[tuple[int, int]] = []

    def __enter__(self) -> None:
        from pypod.kernel.syscalls import setns

        try:
            for flag, path in self._paths:
                kind = path.rsplit("/", 1)[1]
                home = os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
                self._homes.append((flag, home))
                there = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    setns(there, flag)
                finally:
                    os.close(there)
        except BaseException:
            self._go_home()
            raise

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


def enter(name: str, state: ContainerState, kinds: tuple[str, ...]) -> Entered:
    """Return the context for the namespaces ``kinds`` of a process."""
    for kind in kinds:
        if kind not in _ENTERABLE:
            raise InvalidSpec(
                "kinds",
                f"cannot enter a {kind!r} namespace from a thread",
                hint=f"one of {', '.join(_ENTERABLE)}; exec runs a command inside all of them",
            )
    if not state.running:
        raise WrongState(name, state.status, f"{name} is not running: it has no namespaces to enter")
    return Entered(tuple((NAMESPACES[kind].clone_flag, f"/proc/{state.pid}/ns/{kind}") for kind in kinds))
