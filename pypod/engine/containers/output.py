"""Wait for a container's output without polling: a follower that has nothing to read uses no processor time."""

from __future__ import annotations

import os
import select

from pypod.engine.core import observe
from pypod.kernel import pidfd
from pypod.kernel.watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

_POLL_S = 0.02


class Output:
    """What comes out of the container whose directory is given; a context manager.

    The monitor writes the log, and a start or an end of the container, into that directory, which is watched. Where the
    user has no watch left (inotify(7), max_user_instances), ``wait`` looks every 20 ms.
    """

    def __init__(self, directory: str, boot_id: str) -> None:
        self._directory = directory
        self._boot_id = boot_id
        try:
            self._watch: Watch | None = Watch(directory)
        except OSError:
            self._watch = None

    def wait(self) -> bool:
        """Return True when there may be more output, False when the container has ended."""
        state = observe.container_state(self._directory, self._boot_id)
        if not state.active:
            return False
        # also its end: if its monitor was killed, nobody writes that down
        fd = pidfd.open_process(state.pid, state.start_time) if state.alive else None
        try:
            self._wait(fd)
        finally:
            if fd is not None:
                os.close(fd)
        return True

    def _wait(self, fd: int | None) -> None:
        poll = select.poll()
        if fd is not None:
            poll.register(fd, select.POLLIN)
        if self._watch is not None:
            poll.register(self._watch, select.POLLIN)
        # without a process it is about to have another one, or has just ended
        poll.poll(None if self._watch is not None and fd is not None else _POLL_S * 1000)
        if self._watch is not None:
            self._watch.drain()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._watch is not None:
            self._watch.close()
