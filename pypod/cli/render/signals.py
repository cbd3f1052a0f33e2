"""Signals to this process as bytes on a descriptor, to be polled with other descriptors."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class Signals:
    """Inside the block the signals ``numbers`` and SIGWINCH to this process arrive as bytes on ``fd``."""

    def __init__(self, numbers: tuple[int, ...]) -> None:
        self._numbers = numbers
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
        self.fd, self._write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def __enter__(self) -> Signals:
        import signal

        signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for number in {*self._numbers, signal.SIGWINCH}:
            self._before[number] = signal.signal(number, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        import signal

        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(-1)
        os.close(self.fd)
        os.close(self._write_fd)

    def arrived(self) -> bytes:
        """Return the numbers of the signals that have arrived."""
        try:
            return os.read(self.fd, 256)
        except BlockingIOError:
            return b""


def proxied_signals() -> tuple[int, ...]:
    """Return the signals that are passed on to a container (podman-run(1), --sig-proxy)."""
    import signal

    return tuple(
        int(number)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
    )
