"""How long to wait for the end of a container's first process, and whether its stop signal reaches it at all.

A process that handles, blocks or ignores its stop signal gets its whole timeout: ignoring it is a choice, too. One with
the default action is another matter. As the first process of a pid namespace it never receives the signal, because the
kernel drops it (pid_namespaces(7)). Waiting is then of no use, except that a program that has just started may be about
to install its handler. It gets ``STARTING_S`` seconds from its start for that, and receives the signal once it has.
"""

from __future__ import annotations

import os
import time

from pypod.kernel import pidfd
from pypod.kernel.abi import SIGKILL, SIGSTOP
from pypod.kernel.proc import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pypod.kernel.proc import Proc

# A JVM handles SIGTERM 0.05 s after its start; with a small CPU quota, or after slow imports, it takes a second.
STARTING_S = 2.0
LOOK_S = 0.02

DELIVERED, KEPT, IGNORED, DROPPED, DOUBTFUL = "delivered", "kept", "ignored", "dropped", "doubtful"

_NO_PLACE = ("", "0")  # wchan of a process that is awake or not ours to inspect, or on a kernel without symbols
_LOOKS = 3
_MOMENT_S = 0.002
_MASKS = (("SigCgt", DELIVERED), ("SigBlk", KEPT), ("SigIgn", IGNORED))


class Request:
    """A request to a process, held by descriptor, to end: the signal to send, and how long to wait."""

    __slots__ = (
        "_deadline",
        "_doubts",
        "_may_have_it",
        "_proc",
        "_sent",
        "_start_time",
        "_starting_s",
        "fd",
        "number",
        "patience_s",
        "pid",
    )

    def __init__(
        self,
        proc: Proc,
        *,
        fd: int,
        pid: int,
        start_time: int,
        number: int,
        patience_s: float,
        starting_s: float,
    ) -> None:
        self.fd = fd
        self.pid = pid
        self.number = number
        self.patience_s = patience_s
        self._proc = proc
        self._start_time = start_time
        self._sent = ""  # what became of the signal, empty before it is sent
        self._doubts: list[str] = []  # results of glances that may differ a moment later
        self._may_have_it = False
        self._starting_s = starting_s
        self._deadline = time.monotonic() + patience_s

    @property
    def is_late(self) -> bool:
        """Whether the time that it was given to end is over; False for a process that was given none."""
        return self.patience_s > 0 and self._deadline <= time.monotonic()

    def look(self) -> tuple[str, float]:
        """Return what would become of the signal now, and how long the wait would be."""
        while (reach := self._reception()) == DOUBTFUL:
            time.sleep(_MOMENT_S)
        return reach, self._left_s(reach)

    def _left_s(self, reach: str) -> float:
        left_s = self._deadline - time.monotonic()
        if reach == DROPPED and not self._may_have_it:
            # both include the offset of our time namespace
            age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - self._start_time / os.sysconf("SC_CLK_TCK")
            left_s = min(left_s, self._starting_s - age_s)
        return left_s

    def _reception(self) -> str:
        """Return what becomes of the signal, or DOUBTFUL when another look is needed a moment later.

        Without a starting time (``starting_s`` is 0) the looks follow each other at once.
        """
        if self._sent == DELIVERED or self._deadline <= time.monotonic():
            return DELIVERED
        for _ in range(1 if self._starting_s else _LOOKS):
            reach, certain = glance(self._proc, self.pid, self.number)
            if certain:
                self._doubts.clear()
                return reach
            self._doubts.append(reach)
        if len(self._doubts) < _LOOKS:
            return DOUBTFUL
        seen = set(self._doubts)
        self._doubts.clear()
        return DROPPED if DROPPED in seen else KEPT

    def advance(self) -> float:
        """Send the signal if it was not sent and would have an effect; return the seconds to wait, 0 on timeout."""
        reach = self._reception()
        left_s = self._left_s(reach)
        if left_s <= 0:
            return 0.0
        if reach == DOUBTFUL:
            return min(left_s, _MOMENT_S)
        if reach in (DROPPED, IGNORED):
            # A signal that was sent while it was blocked was dropped when it was unblocked, unless sigwait(3) took it
            # before that and the process is shutting down: it keeps its timeout.
            self._sent = ""
        else:
            if not self._sent:
                pidfd.send_signal(self.fd, self.number)
            self._sent = reach
            self._may_have_it = True
        return left_s if self._sent == DELIVERED else min(left_s, LOOK_S)


def wait(requests: Iterable[Request], out_of_time: Callable[[int], None]) -> None:
    """Wait for processes concurrently; ``out_of_time`` gets the descriptor of each that does not end in time."""
    waiting = {one.fd: one for one in requests}
    while waiting:
        pause_s = None
        for fd, one in tuple(waiting.items()):
            left_s = one.advance()
            if left_s <= 0:
                del waiting[fd]
                out_of_time(fd)
            elif pause_s is None or left_s < pause_s:
                pause_s = left_s
        if pause_s is not None:
            for fd in pidfd.wait_any(waiting, pause_s):
                del waiting[fd]


def glance(proc: Proc, pid: int, number: int) -> tuple[str, bool]:
    """Return what becomes of a signal sent from outside, and whether that is certain or may change in a moment.

    The signal is DELIVERED, IGNORED by choice, or DROPPED by the kernel. KEPT stands for a blocked signal and for
    doubt: a process that would have received its signal is never killed early.
    """
    place = read_text(f"{proc.root}/{pid}/wchan")
    status = proc.status(pid)
    # In sigwait(3), where inits spend their time, the mask reads as if nothing were blocked (do_sigtimedwait in
    # kernel/signal.c). A process that enters it between the two reads is caught by the next look.
    if status is None or number in (SIGKILL, SIGSTOP) or "sigtimedwait" in place:
        return DELIVERED, True
    asleep = status.fields["State"].startswith("S")
    for field, reach in _MASKS:
        if int(status.fields[field], 16) >> (number - 1) & 1:
            return reach, reach != KEPT or asleep  # a shell blocks all signals around a fork, and drops pending ones
    if len(status.nspid) < 2 or status.nspid[-1] != 1:
        return DELIVERED, True
    if asleep and place in _NO_PLACE:
        return KEPT, False  # it has just fallen asleep, or the kernel does not say where
    return DROPPED, False
