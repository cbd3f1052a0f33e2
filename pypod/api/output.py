"""Methods of a container for its output and its exit."""

from __future__ import annotations

import os
import time
from _collections_abc import Iterator

from pypod.api import types
from pypod.api.handle import ContainerHandle
from pypod.engine.core import announce, observe
from pypod.engine.core.boundary import Boundary
from pypod.errors import DeadlineExceeded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


_CREATED_POLL_S = 0.01


class OutputMethods(ContainerHandle):
    """Wait for a container, read its log, attach to it."""

    __slots__ = ()

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait until it has exited; return its exit code, None when that is unknown.

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
        """Yield its output in order, in pieces with ``stream``, ``time`` and ``data``.

        With ``follow`` the iterator waits for further output until the container has exited. ``tail`` is the number of
        last lines to begin with.
        """
        from pypod.engine.containers import logs

        self.record()
        reader = logs.LogReader(f"{self.directory}/ctr.log")
        try:
            if tail is not None and tail >= 0:  # podman's --tail -1 means all lines
                reader.skip_to_last(tail)
            if follow:
                from pypod.engine.containers.output import Output

                with Output(self.directory, self._engine.boot_id) as output:
                    yield from logs.follow(reader, output.wait)
            else:
                yield from reader.pieces()
        finally:
            reader.close()

    def open_log(self, *, offset: int = 0, at_end: bool = False) -> types.LogReader:
        """Return a reader of its log that keeps its position between reads, for use with ``attach``.

        It begins ``offset`` bytes into the log (``Attachment.offset`` is its size at the moment of attaching), or at
        the end with ``at_end``. The log of a container that has not run yet is empty.
        """
        from pypod.engine.containers.logs import LogReader

        path = f"{self.directory}/ctr.log"
        if at_end:
            try:
                offset = os.stat(path).st_size
            except FileNotFoundError:
                offset = 0
        return LogReader(path, offset)

    def attach(self, *, announced: bool = False) -> types.Attachment:
        """Attach to its input; the output is in ``logs``. Raises WrongState when it is not running.

        An event tells of it, unless it is ``announced`` already: a start with ``attended`` does so.
        """
        from pypod.engine.containers.attach import Attachment

        record = self.record()
        attachment = Attachment(self.directory, self._name)
        if not announced:
            announce.container(self._engine, announce.ATTACH, record)
        return attachment
