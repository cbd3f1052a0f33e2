"""How long the end of a container's first process is waited for, and whether its stop signal reaches it at all.

A process that handles, blocks or ignores its stop signal is given all its time: ignoring it is a choice, too. One that
has only the default action is another matter. As the first process of a pid namespace it never gets the signal, the
kernel drops it (pid_namespaces(7)), so nothing is gained by waiting, except that a program that has just started may
still be about to install its handler. It is given ``STARTING_S`` seconds from its start for that, and gets the signal
when it does.
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

# A JVM handles SIGTERM 0.05 s after its start; with little of a processor, or behind slow imports, it takes a second.
STARTING_S = 2.0
LOOK_S = 0.02

DELIVERED, KEPT, IGNORED, DROPPED, DOUBTFUL = "delivered", "kept", "ignored", "dropped", "doubtful"

_NO_PLACE = ("", "0")  # of wchan: awake, not ours to see, or a kernel without symbols
_LOOKS = 3
_MOMENT_S = 0.002
_MASKS = (("SigCgt", DELIVERED), ("SigBlk", KEPT), ("SigIgn", IGNORED))


class Request:
    """A process, by descriptor, that is to end: the signal that asks for it, and how long the end is waited for."""

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
        self._proc = proc
        self._start_time = start_time
        self._sent = ""  # what became of it
        self._doubts: list[str] = []  # what looks said that may be different a moment later
        self._may_have_it = False
        self._starting_s = starting_s
        self._deadline = time.monotonic() + patience_s

    def look(self) -> tuple[str, float]:
        """Return what would become of the signal now, and for how long the end is waited for as things are."""
        while (reach := self._reception()) == DOUBTFUL:
            time.sleep(_MOMENT_S)
        return reach, self._left_s(reach)

    def _left_s(self, reach: str) -> float:
        left_s = self._deadline - time.monotonic()
        if reach == DROPPED and not self._may_have_it:
            # with the offset of our time namespace in both
            age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - self._start_time / os.sysconf("SC_CLK_TCK")
            left_s = min(left_s, self._starting_s - age_s)
        return left_s

    def _reception(self) -> str:
        """Return what becomes of the signal, or DOUBTFUL when that takes another look, a moment later.

        Where nobody is given time the looks follow each other at once.
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
        """Send the signal if that is still to do and of use; return for how long to wait now, 0 when time is over."""
        reach = self._reception()
        left_s = self._left_s(reach)
        if left_s <= 0:
            return 0.0
        if reach == DOUBTFUL:
            return min(left_s, _MOMENT_S)
        if reach in (DROPPED, IGNORED):
            # What was sent while it was blocked was dropped when it was unblocked. Unless it was taken by sigwait(3)
            # before that, and the process is on its way out: it keeps its time.
            self._sent = ""
        else:
            if not self._sent:
                pidfd.send_signal(self.fd, self.number)
            self._sent = reach
            self._may_have_it = True
        return left_s if self._sent == DELIVERED else min(left_s, LOOK_S)


def wait(requests: Iterable[Request], out_of_time: Callable[[int], None]) -> None:
    """Wait for processes side by side; the descriptor of each that does not end in time goes to ``out_of_time``."""
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
    """Return what becomes of a signal that is sent from outside, and whether that will be so a moment later.

    It is DELIVERED, IGNORED by choice, or DROPPED by the kernel. KEPT is what is blocked, or in doubt: patience kills
    nobody who would have heard.
    """
    place = read_text(f"{proc.root}/{pid}/wchan")
    status = proc.status(pid)
    # In sigwait(3), where inits spend their lives, the mask reads as if nothing were blocked (do_sigtimedwait in
    # kernel/signal.c); one that enters it between the two readings is caught by the next look.
    if status is None or number in (SIGKILL, SIGSTOP) or "sigtimedwait" in place:
        return DELIVERED, True
    asleep = status.fields["State"].startswith("S")
    for field, reach in _MASKS:
        if int(status.fields[field], 16) >> (number - 1) & 1:
            return reach, reach != KEPT or asleep  # around a fork a shell blocks all signals, and drops what has come
    if len(status.nspid) < 2 or status.nspid[-1] != 1:
        return DELIVERED, True
    if asleep and place in _NO_PLACE:
        return KEPT, False  # it has just fallen asleep, or the kernel does not say in what
    return DROPPED, False
