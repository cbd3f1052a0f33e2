"""Notification of changed files in a directory, without polling (inotify(7))."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

# include/uapi/linux/inotify.h
_IN_MODIFY, _IN_MOVED_TO, _IN_CREATE = 0x2, 0x80, 0x100
_BUFFER_BYTES = 1 << 16


class Watch:
    """Reports files in ``directory`` that are created, written to or renamed. Close it, or use it as a context manager.

    Raises OSError: their number per user is limited (/proc/sys/fs/inotify/max_user_instances).
    """

    _fd = -1

    def __init__(self, directory: str) -> None:
        from pypod.kernel.syscalls import inotify_add_watch, inotify_init1

        self._fd = inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)  # equal to IN_NONBLOCK and IN_CLOEXEC
        try:
            inotify_add_watch(self._fd, directory, _IN_MODIFY | _IN_MOVED_TO | _IN_CREATE)
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor that becomes readable on a change."""
        return self._fd

    def wait(self, timeout_s: float | None) -> bool:
        """Wait for a change and consume it; return False on a timeout."""
        import select

        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        changed = bool(poll.poll(None if timeout_s is None else max(timeout_s, 0) * 1000))
        self.drain()
        return changed

    def drain(self) -> None:
        """Discard the changes so far."""
        try:
            while os.read(self._fd, _BUFFER_BYTES):
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        """Stop watching."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1  # cleared first: Control-C at the end of close() must not close it twice
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()
