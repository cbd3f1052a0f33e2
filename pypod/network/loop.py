"""An event loop for descriptors and timers in one thread: epoll(7) and a heap of times."""

from __future__ import annotations

import heapq
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

READABLE, WRITABLE = select.EPOLLIN, select.EPOLLOUT


class Loop:
    """Calls functions when their descriptors are ready or their times have come, until ``stop``.

    What a function raises is printed to stderr, and the loop continues.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._ready: dict[int, Callable[[], object]] = {}
        self._timers: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0
        self._goes_on = True

    def watch(self, fd: int, ready: Callable[[], object], events: int = READABLE) -> None:
        """Call ``ready`` whenever ``fd`` is readable (or writable, according to ``events``), or has an error."""
        if fd in self._ready:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._ready[fd] = ready

    def forget(self, fd: int) -> None:
        """Stop watching a descriptor; must be called before it is closed."""
        if self._ready.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def later(self, delay_s: float, action: Callable[[], object]) -> None:
        """Call ``action`` once, after a delay."""
        self._count += 1  # breaks ties, since functions cannot be compared
        heapq.heappush(self._timers, (time.monotonic() + delay_s, self._count, action))

    def stop(self) -> None:
        """Make ``run`` return."""
        self._goes_on = False

    def run(self) -> None:
        """Run until ``stop`` is called."""
        while self._goes_on:
            left_s = max(self._timers[0][0] - time.monotonic(), 0) if self._timers else -1
            # epoll's timeout is in milliseconds: it is rounded up, or the rest of one would be spent spinning
            for fd, _ in self._epoll.poll(left_s + 0.001 if left_s > 0 else left_s):
                self._call(self._ready.get(fd))
            while self._goes_on and self._timers and self._timers[0][0] <= time.monotonic():
                self._call(heapq.heappop(self._timers)[2])

    def _call(self, action: Callable[[], object] | None) -> None:
        if action is None:  # forgotten by an earlier callback of this iteration
            return
        try:
            action()
        except Exception:
            sys.excepthook(*sys.exc_info())

    def close(self) -> None:
        """Close the epoll descriptor."""
        self._epoll.close()
