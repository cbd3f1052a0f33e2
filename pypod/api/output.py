"""Methods of a container about its output and its end."""

from __future__ import annotations

import os
import time
from _collections_abc import Iterator

from pypod.api import types
from pypod.api.handle import ContainerHandle
from pypod.engine.core import announce, observe
from pypod.engine.core.boundary import Boundary
from pypod.errors import DeadlineExceeded
from pypod.kernel import pidfd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypod.model.container import ContainerState

_CREATED_POLL_S = 0.01


class OutputMethods(ContainerHandle):
    """Wait for a container, read its log, attach to it."""

    __slots__ = ()

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait until it has ended; return its exit code, None when nobody saw how it ended.

        A container that was never started is waited for, too. Raises DeadlineExceeded after ``timeout`` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if deadline is None else max(deadline - time.monotonic(), 0)
            with Boundary(f"wait for container {self._name}"):
                try:
                    state = observe.wait_for_exit(self.directory, self._engine.boot_id, left)
                except TimeoutError:
                    raise DeadlineExceeded(f"wait for container {self._name}", timeout or 0) from None
            if state is not None and state.status == "exited":
                return state.exit_code
            self.record()
            if left == 0:
                raise DeadlineExceeded(f"wait for container {self._name}", timeout or 0)
            time.sleep(_CREATED_POLL_S)

    def logs(self, *, follow: bool = False, tail: int | None = None) -> Iterator[types.Piece]:
        """Yield what it wrote, in order: pieces with ``stream``, ``time`` and ``data``.

        With ``follow`` the iterator goes on and ends when the container has ended. ``tail`` is a number of lines.
        """
        from pypod.engine.containers import logs

        self.record()
        reader = logs.LogReader(f"{self.directory}/ctr.log")
        try:
            if tail is not None and tail >= 0:  # podman's --tail -1 is all of it
                reader.skip_to_last(tail)
            if follow:
                yield from logs.follow(reader, self._wait_for_output)
            else:
                yield from reader.pieces()
        finally:
            reader.close()

    def open_log(self, *, offset: int = 0, at_end: bool = False) -> types.LogReader:
        """Return a reader of its log that stays where it is between two looks: what ``attach`` rings for.

        It begins ``offset`` bytes into the log (``Attachment.offset`` is where that was when we came), or ``at_end``.
        A container that has not run yet has an empty one.
        """
        from pypod.engine.containers.logs import LogReader

        path = f"{self.directory}/ctr.log"
        if at_end:
            try:
                offset = os.stat(path).st_size
            except FileNotFoundError:
                offset = 0
        return LogReader(path, offset)

    def _wait_for_output(self) -> bool:
        """Return True a moment later, or False when it has ended."""
        state = observe.container_state(self.directory, self._engine.boot_id)
        if not state.running:
            return False
        _wait_for_process(state, 0.02)
        return True

    def attach(self) -> types.Attachment:
        """Connect to its input; the output is in ``logs``. Raises WrongState when it does not run."""
        from pypod.engine.containers.attach import Attachment

        record = self.record()
        attachment = Attachment(self.directory, self._name)
        announce.container(self._engine, announce.ATTACH, record)
        return attachment


def _wait_for_process(state: ContainerState, timeout_s: float | None) -> None:
    fd = pidfd.open_process(state.pid, state.start_time)
    if fd is not None:
        try:
            pidfd.wait(fd, timeout_s)
        finally:
            os.close(fd)
