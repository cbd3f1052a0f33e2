"""ns watch: the namespaces of pods as they come and go, redrawn in place on a terminal, otherwise a line per change."""

from __future__ import annotations

import os
import sys

from pypod.cli.flags.parser import Command, Flag
from pypod.errors import InvalidSpec
from pypod.model.reports.namespace_watch import DIFFERENT, GONE, NEW, SAME, changes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from pypod import NamespaceWatcher
    from pypod.cli.flags.parser import Parsed
    from pypod.cli.namespaces.board import Board
    from pypod.cli.render.signals import Signals
    from pypod.model.reports.namespace_watch import SeenNamespace

NS_WATCH = Command(
    path="pypod ns watch",
    summary="Watch the namespaces of pods come and go",
    description=(
        "On a terminal the list is redrawn in place until control-C. Otherwise a line is printed for each change.\n"
        "  Marks: + created, - gone, ~ changed, = existed at the beginning."
    ),
    synopsis="[options] [POD...]",
    flags=(
        Flag(name="count", kind="int", metavar="number", help="Number of looks after which to exit"),
        Flag(name="interval", kind="float", metavar="seconds", default=1.0, help="Time in seconds between looks"),
    ),
    examples=("pypod ns watch", "pypod ns watch mipod", "pypod ns watch --interval 0.2 | grep net"),
)
_HOLD_S = 3.0
_SETTLE_MS = 30  # one command causes several changes: take one look for all of them
# alternate screen, hidden cursor, no line wrap; and the reverse
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l\x1b[?7l", "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _END_OF_LINE, _END_OF_SCREEN, _PLAIN = "\x1b[H", "\x1b[K", "\x1b[J", "\x1b[m"
_COLORS = {NEW: "\x1b[32m", GONE: "\x1b[31m", DIFFERENT: "\x1b[33m"}


def run_ns_watch(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod ns watch``."""
    from pypod.api.engine import Engine

    interval_s: float = options["interval"]
    if not 0 < interval_s < 1e6:
        raise InvalidSpec("--interval", f"the interval must be a number of seconds greater than 0: {interval_s:g}")
    if options["count"] < 0:
        raise InvalidSpec("--count", f"the count must not be negative: {options['count']}")
    with Engine(root) as engine, engine.watch_namespaces(options.positionals) as watcher:
        if sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
            return _live(watcher, interval_s, options["count"])
        return _lines(watcher, interval_s, options["count"])


def _lines(watcher: NamespaceWatcher, interval_s: float, count: int) -> int:
    before = watcher.look()
    _write_lines([(SAME, one) for one in before.values()])
    looks = 1
    while looks != count:
        if watcher.wait(interval_s):
            _settle(watcher)
        now = watcher.look()
        _write_lines(changes(before, now))
        before = now
        looks += 1
    return 0


def _write_lines(rows: Sequence[tuple[str, SeenNamespace]]) -> None:
    sys.stdout.write("".join(f"{line(mark, one)}\n" for mark, one in rows))
    sys.stdout.flush()


def line(mark: str, one: SeenNamespace) -> str:
    """Format a change as one line: ``+ net 4026532451 pod mipod infra,web 1234 nprocs 2 why process``."""
    pid = "-" if one.pid is None else one.pid
    who, why = (",".join(words) or "-" for words in (one.who, one.why))
    return f"{mark} {one.kind} {one.inode} pod {one.pod} {who} {pid} nprocs {one.nprocs} why {why}"


def _settle(watcher: NamespaceWatcher, signals: Signals | None = None) -> None:
    import select

    poll = select.poll()
    if signals is not None:
        poll.register(signals.fd, select.POLLIN)
    poll.poll(_SETTLE_MS)
    watcher.drain()


class Screen:
    """Show our own screen on the terminal inside the block, and the previous one again afterwards."""

    def __enter__(self) -> Self:
        self.write(_ENTER)
        return self

    def __exit__(self, *_: object) -> None:
        self.write(_LEAVE)

    @staticmethod
    def write(text: str) -> None:
        """Write to the terminal."""
        from pypod.cli.render.streaming import write_output

        write_output(1, text.encode("utf-8", "backslashreplace"))


def _live(watcher: NamespaceWatcher, interval_s: float, count: int) -> int:
    import signal
    import time

    from pypod.cli.namespaces.board import Board
    from pypod.cli.render.signals import Signals

    board = Board(_HOLD_S)
    color = not os.environ.get("NO_COLOR")
    looks = 0
    # Signals keeps them from ending the process in the middle of an escape sequence.
    with Signals((signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)) as signals, Screen() as screen:
        while True:
            board.update(watcher.look(), time.monotonic())
            screen.write(_frame(board, interval_s, color=color))
            looks += 1
            if looks == count:
                return 0
            due = time.monotonic() + interval_s
            while (left := due - time.monotonic()) > 0:
                changed, numbers = _wait(watcher, signals, left)
                ends = [number for number in numbers if number != signal.SIGWINCH]
                if ends:
                    return 128 + ends[0]
                if changed:
                    _settle(watcher, signals)
                    break
                if numbers:
                    screen.write(_frame(board, interval_s, color=color))


def _wait(watcher: NamespaceWatcher, signals: Signals, timeout_s: float) -> tuple[bool, bytes]:
    """Wait for a change or signals; return whether something changed, and the signal numbers that arrived."""
    import select

    poll = select.poll()
    for fd in (watcher.fileno(), signals.fd):
        poll.register(fd, select.POLLIN)
    ready = {fd for fd, _ in poll.poll(timeout_s * 1000)}
    return watcher.fileno() in ready, signals.arrived() if signals.fd in ready else b""


def _frame(board: Board, interval_s: float, *, color: bool) -> str:
    """Return the output that draws the view on the terminal, cut to the terminal's size."""
    from time import strftime

    from pypod.cli.render.terminal import size

    columns, height = size(1)
    rows = board.rows()
    there = [one for mark, one in rows if mark != GONE]
    heading = f"{strftime('%H:%M:%S')}  {_count(len({one.pod for one in there}), 'pod')}"
    heading += f", {_count(len(there), 'namespace')}; every {interval_s:g} s"
    lines = [(SAME, heading), *zip([SAME, *(mark for mark, _ in rows)], table(rows, columns), strict=True)]
    room = max(height or 24, 2)
    if len(lines) > room:
        lines[room - 1 :] = [(SAME, f"... {len(lines) - room + 1} more")]
    shown = []
    for mark, text in lines:
        cut = text[:columns] if columns else text
        shown.append(f"{_COLORS[mark]}{cut}{_PLAIN}" if color and mark in _COLORS else cut)
    return _HOME + f"{_END_OF_LINE}\r\n".join(shown) + _END_OF_LINE + _END_OF_SCREEN


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def table(rows: Sequence[tuple[str, SeenNamespace]], width: int) -> list[str]:
    """Return a heading and a line per row. A command always takes one printable line, whatever it calls itself."""
    from io import StringIO

    from pypod.cli.render.smartcols import Column, Line, Style, write

    columns = (
        *(Column(name=name) for name in ("", "POD", "TYPE")),
        *(Column(name=name, right=True) for name in ("NS", "NPROCS", "PID")),
        *(Column(name=name) for name in ("WHY", "WHO")),
        Column(name="COMMAND", cut=True),
    )
    roots = [
        Line(
            {
                "": " " if mark == SAME else mark,
                "POD": one.pod,
                "TYPE": one.kind,
                "NS": str(one.inode),
                "NPROCS": str(one.nprocs),
                "PID": "-" if one.pid is None else str(one.pid),
                "WHY": ",".join(one.why) or "-",
                "WHO": ",".join(one.who) or "-",
                "COMMAND": one.command.replace("\n", "\\x0a"),  # the table escapes the other characters
            }
        )
        for mark, one in rows
    ]
    stream = StringIO()
    write(roots, columns, Style(name="namespaces", width=width), stream)
    return stream.getvalue().splitlines()
