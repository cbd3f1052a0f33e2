"""logs and pod logs: the output of containers, byte for byte."""

from __future__ import annotations

from pypod.cli.flags.objects import LATEST
from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.errors import InvalidSpec, NoSuchContainer
from pypod.model.moment import rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pypod.api.container import Container
    from pypod.cli.flags.parser import Parsed
    from pypod.model.reports.log import Piece

_FLAGS = (
    Flag(name="color", kind="bool", help="Output the containers with different colors in the log"),
    Flag(name="details", kind="bool", hidden=True, help="Accepted for compatibility with docker; has no effect"),
    Flag(name="follow", short="f", kind="bool", help="Follow log output until the container ends"),
    LATEST,
    Flag(name="names", short="n", kind="bool", help="Output the container name in the log"),
    Flag(name="since", help="Show logs since TIMESTAMP"),
    Flag(
        name="tail",
        kind="int",
        default=-1,
        help="Output the specified number of LINES at the end of the logs, or all lines if negative",
    ),
    Flag(name="timestamps", short="t", kind="bool", help="Output the timestamps in the log"),
    Flag(name="until", help="Show logs until TIMESTAMP"),
)
LOGS = Command(
    path="pypod logs",
    summary="Fetch the logs of one or more containers",
    description="Retrieves logs for one or more containers.",
    synopsis="[options] CONTAINER [CONTAINER...]",
    flags=_FLAGS,
    examples=(
        "pypod logs ctrID",
        "pypod logs --names ctrID1 ctrID2",
        "pypod logs --tail 2 mywebserver",
        "pypod logs --follow=true --since 10m ctrID",
    ),
)
POD_LOGS = Command(
    path="pypod pod logs",
    summary="Fetch logs for pod with one or more containers",
    description="Displays logs for pod with one or more containers.",
    synopsis="[options] POD",
    flags=(
        *_FLAGS,
        Flag(name="container", short="c", help="Filter logs by container name or id which belongs to pod"),
    ),
    examples=(
        "pypod pod logs podID",
        "pypod pod logs -c ctrname podName",
        "pypod pod logs --tail 2 mywebserver",
        "pypod pod logs --follow=true --since 10m podID",
    ),
)
_BATCH_BYTES = 1 << 16
_TIME_LENGTH = len("2006-01-02T15:04:05.000000000")  # log times are UTC with nine decimals: they sort as strings
_FDS = {"stdout": 1, "stderr": 2}
_SHORT = 12


def run_logs(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod logs``."""
    from pypod.api.engine import Engine
    from pypod.cli.flags.selection import latest

    names = options.positionals
    if options["latest"] and names:
        raise UsageError("", "--latest and containers cannot be used together")
    if not options["latest"] and not names:
        raise UsageError("", "specify at least one container name or ID to log")
    span = _Span(options)
    with Engine(root) as engine:
        containers = [engine.containers.get(name) for name in names] if names else [latest(engine)]
        _show(containers, options, span)
    return 0


def run_pod_logs(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod pod logs``."""
    from pypod.api.engine import Engine
    from pypod.cli.flags.selection import latest_pod

    names = options.positionals
    if options["latest"] and names:
        raise UsageError("", "--latest and pods cannot be used together")
    if not options["latest"] and not names:
        raise UsageError("", "specify at least one pod name or ID to log")
    if len(names) > 1:
        raise UsageError("", "requires exactly 1 arg")
    span = _Span(options)
    with Engine(root) as engine:
        pod = engine.pods.get(names[0]) if names else latest_pod(engine)
        infra = pod.infra
        containers = [*([infra] if infra else []), *pod.containers()]
        if options["container"]:
            containers = [_member(containers, options["container"], names[0] if names else pod.name)]
        _show(containers, options, span)
    return 0


def _member(containers: Sequence[Container], ref: str, pod: str) -> Container:
    """Return the container with a name, an id or an id prefix among the members of a pod. Raises NoSuchContainer."""
    found = [one for one in containers if ref in (one.name, one.id)]
    found = found or [one for one in containers if one.id.startswith(ref)]
    if len(found) != 1:
        error = NoSuchContainer(ref)
        error.message = f"container {ref} is not in pod {pod}: no such container"
        raise error
    return found[0]


class _Span:
    """The times that --since and --until name: as text for comparisons, empty when the flag is not given."""

    def __init__(self, options: Parsed) -> None:
        from time import time_ns

        self.now_ns = time_ns()
        since_ns, self.until_ns = (_moment_ns(options, flag, self.now_ns) for flag in ("since", "until"))
        self.since, self.until = (_text(moment) if moment else "" for moment in (since_ns, self.until_ns))


def _show(containers: Sequence[Container], options: Parsed, span: _Span) -> None:
    """Write the logs of containers, one after the other, or side by side while following."""
    # there is nothing to wait for when --until has passed
    follow = options["follow"] and (not span.until_ns or span.until_ns > span.now_ns)
    if follow and span.until_ns:
        _end_in((span.until_ns - span.now_ns) / 1_000_000_000)
    tail = options["tail"] if options["tail"] >= 0 else None
    jobs = []
    for number, container in enumerate(containers):
        writer = Writer(
            prefix=_prefix(container, options) if len(containers) > 1 else "",
            timestamps=options["timestamps"],
            color=31 + number % 7 if options["color"] else 0,
        )
        jobs.append(_job(container, writer, span.since, span.until, follow=follow, tail=tail))
    if follow and len(jobs) > 1:
        _side_by_side(jobs)
    else:
        for job in jobs:
            job()


def _job(
    container: Container, writer: Writer, since: str, until: str, *, follow: bool, tail: int | None
) -> Callable[[], None]:
    return lambda: writer.write(_between(container.logs(follow=follow, tail=tail), since, until), at_once=follow)


def _prefix(container: Container, options: Parsed) -> str:
    return f"{container.name if options['names'] else container.id[:_SHORT]} "


def _end_in(seconds: float) -> None:
    """End the program after ``seconds``, whatever it is waiting for."""
    import os
    import signal
    import sys

    def end(*_: object) -> None:
        sys.stdout.flush()
        os._exit(0)

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _moment_ns(options: Parsed, flag: str, now_ns: int) -> int:
    """Return the time that a flag names, or 0 when the flag is not given."""
    from pypod.cli.flags.times import parse_moment_ns
    from pypod.cli.go.strconv import quote

    if not options[flag]:
        return 0
    try:
        moment_ns = parse_moment_ns(options[flag], now_ns, future=flag == "until")
        _text(moment_ns)  # fails for a time that cannot be formatted
    except (ValueError, OverflowError) as error:
        raise InvalidSpec(f"--{flag}", f"parsing --{flag} {quote(options[flag])}: {error}") from error
    return moment_ns


def _text(moment_ns: int) -> str:
    return rfc3339(moment_ns, utc=True, padded=True).removesuffix("Z")


def _between(pieces: Iterator[Piece], since: str, until: str) -> Iterator[Piece]:
    for piece in pieces:
        time = piece.time[:_TIME_LENGTH]
        if until and time > until:
            return
        if time >= since:
            yield piece


def _side_by_side(jobs: list[Callable[[], None]]) -> None:
    """Run each job in a thread of its own; raise the first failure."""
    from threading import Thread

    failures: list[BaseException] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:
            failures.append(error)

    threads = [Thread(target=run, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive() and not failures:
            thread.join(0.1)
    if failures:
        raise failures[0]


class Writer:
    """Write the log pieces of one container to the streams they came from.

    ``prefix``, the time and ``color`` (an ANSI color number, 0 for none) are written once at the beginning of every
    line, however many pieces the line consists of.
    """

    def __init__(self, *, prefix: str = "", timestamps: bool = False, color: int = 0) -> None:
        self._prefix = prefix.encode()
        self._timestamps = timestamps
        self._color = f"\x1b[{color}m".encode() if color else b""
        self._inside: set[str] = set()  # the streams whose last line is incomplete

    def write(self, pieces: Iterator[Piece], *, at_once: bool) -> None:
        """Write all pieces; with ``at_once`` write each piece before reading the next."""
        from pypod.cli.render.streaming import write_output

        if at_once:
            for piece in pieces:
                write_output(_FDS[piece.stream], self._decorate(piece))
            return
        batch: list[bytes] = []
        stream, size = "stdout", 0
        for piece in pieces:
            if piece.stream != stream or size > _BATCH_BYTES:
                write_output(_FDS[stream], b"".join(batch))
                batch, stream, size = [], piece.stream, 0
            data = self._decorate(piece)
            batch.append(data)
            size += len(data)
        write_output(_FDS[stream], b"".join(batch))

    def _decorate(self, piece: Piece) -> bytes:
        if not (self._prefix or self._timestamps or self._color):
            return piece.data
        ended = piece.data.endswith(b"\n")
        parts = [self._color]
        if piece.stream not in self._inside:
            parts.append(self._prefix)
            if self._timestamps:
                parts.append(f"{piece.time.replace('+00:00', 'Z')} ".encode())
        (self._inside.discard if ended else self._inside.add)(piece.stream)
        if not self._color:
            return b"".join((*parts, piece.data))
        return b"".join((*parts, piece.data.removesuffix(b"\n"), b"\x1b[0m\n" if ended else b"\x1b[0m"))
