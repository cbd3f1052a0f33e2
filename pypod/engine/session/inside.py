"""The user-namespace helper: Python inside a user's session, for files owned by ids that the caller does not have.

Commit, export, diff and measuring a container's size read files that belong to users of containers. This process cannot
read them, nor enter the namespace, as it may be multithreaded. So it starts a process in there, which calls a function
of the library and answers with pickles. Both ends are ours.
"""

from __future__ import annotations

import errno
import os
import sys

from pypod.errors import SystemFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from typing import IO, Any, Concatenate, ParamSpec, TypeVar

    from pypod.engine.core.context import Context

    P = ParamSpec("P")
    T = TypeVar("T")

AT_BRIDGES = "PYPOD_SESSION_NETWORK"
_RESULT, _PIECE, _ERROR = "result", "piece", "error"
_PIECE_BYTES, _LENGTH_BYTES = 1 << 20, 8


def is_needed(context: Context) -> bool:
    """Return whether this process lacks the ids that own files of containers."""
    return context.rootless and not context.inside


def call(context: Context, task: Callable[Concatenate[Context, P], T], *arguments: P.args, **options: P.kwargs) -> T:
    """Call a function of a module in the helper process, with a context of its own; return its result.

    Raises what the function raises.
    """
    return _result(context, task, arguments, options, {})


def call_with_input(
    context: Context,
    pieces: Iterable[bytes],
    task: Callable[Concatenate[Context, P], T],
    *arguments: P.args,
    **options: P.kwargs,
) -> T:
    """Do the same for a function that reads ``given()``: the ``pieces``, which are sent to the helper process."""
    return _result(context, task, arguments, options, {}, pieces)


def given() -> Iterator[bytes]:
    """Yield the input of a function that ``call_with_input`` calls, in the helper process."""
    source: IO[bytes] = sys.stdin.buffer
    while head := source.read(_LENGTH_BYTES):
        left = int.from_bytes(head, "little")
        if len(head) == _LENGTH_BYTES and not left:
            return
        while left:
            piece = source.read(min(left, _PIECE_BYTES))
            if not piece:
                break
            left -= len(piece)
            yield piece
    raise OSError(errno.EPIPE, "the input was cut short")


def call_at_bridges(
    context: Context,
    holder: str,
    task: Callable[Concatenate[Context, P], T],
    *arguments: P.args,
    **options: P.kwargs,
) -> T:
    """Do the same in the network namespace of the user's bridges; ``holder`` is PID:START_TIME (pause/inside.c)."""
    return _result(context, task, arguments, options, {AT_BRIDGES: holder})


def _result(
    context: Context,
    task: Callable[..., T],
    arguments: tuple[object, ...],
    options: Mapping[str, object],
    environment: Mapping[str, str],
    pieces: Iterable[bytes] = (),
) -> T:
    answers = _answers(context, task, arguments, options, environment, pieces)
    try:
        for kind, value in answers:
            if kind == _RESULT:
                found: T = value
                return found
    finally:
        answers.close()
    raise _no_answer(task)


def stream(
    context: Context, task: Callable[Concatenate[Context, P], Iterator[bytes]], *arguments: P.args, **options: P.kwargs
) -> Iterator[bytes]:
    """Call a generator of bytes in the helper process, and yield the pieces as they arrive."""
    answers = _answers(context, task, arguments, options, {})
    try:
        for kind, value in answers:
            if kind == _RESULT:
                return
            yield value
    finally:
        answers.close()
    raise _no_answer(task)


def _no_answer(task: Callable[..., object]) -> SystemFailure:
    name = task.__name__.strip("_")
    return SystemFailure(name, 0, f"{name}: the process in the user's session ended before it could answer")


def _answers(
    context: Context,
    task: Callable[..., object],
    arguments: tuple[object, ...],
    options: Mapping[str, object],
    environment: Mapping[str, str],
    pieces: Iterable[bytes] = (),
) -> Generator[tuple[str, Any], None, None]:
    import pickle

    from pypod.kernel.children import reap

    pid, asked, answered = _spawn(context, environment)
    try:
        with open(answered, "rb") as answers:
            with open(asked, "wb") as request:
                pickle.dump(sys.path, request)  # first: unpickling the next object imports the function's module
                pickle.dump((context.layout.root, task, arguments, dict(options)), request)
                _send(request, pieces)
            while True:
                try:
                    kind, value = pickle.load(answers)  # noqa: S301
                except EOFError:
                    return
                if kind == _ERROR:
                    raise value
                yield kind, value
    finally:
        reap(pid)  # with its pipe closed it exits soon


def _send(request: IO[bytes], pieces: Iterable[bytes]) -> None:
    """Write the input of a function. If it stops reading, the reason is in its answer.

    Each piece has its length before it, and an empty one is the end: what is cut short is not taken for complete.
    """
    try:
        for piece in pieces:
            if piece:
                request.write(len(piece).to_bytes(_LENGTH_BYTES, "little"))
                request.write(piece)
        request.write(bytes(_LENGTH_BYTES))
        request.flush()
    except BrokenPipeError:
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(null, request.fileno(), inheritable=False)  # what is buffered cannot be dropped otherwise
        os.close(null)


def _spawn(context: Context, more: Mapping[str, str]) -> tuple[int, int, int]:
    """Start the helper process; return its pid, and the descriptors of its stdin and stdout."""
    from pypod.engine.core.context import EVENTS_VARIABLE
    from pypod.engine.session import session
    from pypod.kernel import programs
    from pypod.kernel.children import move_up

    command = ["pypod-inside", *programs.python(__name__)]
    if context.events_backend:  # decided by the caller
        more = {**more, EVENTS_VARIABLE: context.events_backend}
    environment = {**os.environ, **session.environment(context), **more}
    fds: list[int] = []
    try:
        for _ in range(2):
            fds += map(move_up, os.pipe2(os.O_CLOEXEC))
        reads, asked, answered, writes = fds
        actions = [(os.POSIX_SPAWN_DUP2, reads, 0), (os.POSIX_SPAWN_DUP2, writes, 1)]
        null = (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_RDWR, 0)
        pid = os.posix_spawn(programs.path("inside"), command, environment, file_actions=[*actions, null])
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    for fd in (reads, writes):
        os.close(fd)
    return pid, asked, answered


def main() -> None:
    """Entry point of the helper process: a function and its arguments on stdin, answers on stdout."""
    import pickle

    from pypod.engine.core.context import Context

    answers: IO[bytes] = sys.stdout.buffer
    sys.path[:] = pickle.load(sys.stdin.buffer)  # noqa: S301
    root, task, arguments, options = pickle.load(sys.stdin.buffer)  # noqa: S301
    try:
        with Context(root) as context:
            context.at_bridges = os.environ.pop(AT_BRIDGES, "") != ""
            found = task(context, *arguments, **options)
            if hasattr(found, "__next__"):
                for piece in found:
                    pickle.dump((_PIECE, piece), answers)
                found = None
        pickle.dump((_RESULT, found), answers)
    except BrokenPipeError:  # the reader is gone; the interpreter must not complain at exit of what it cannot flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), answers.fileno())
    except Exception as error:  # raised again at the other end
        pickle.dump((_ERROR, error), answers)
    answers.flush()


def move(context: Context, source: str, target: str) -> None:
    """Rename a directory. A new parent needs write permission on the directory itself: ``..`` changes (vfs_rename)."""
    try:
        os.rename(source, target)
    except PermissionError:  # the root of an image, owned by another id or not writable (0555)
        if not is_needed(context):
            raise
        call(context, _move, source, target)


def _move(context: Context, source: str, target: str) -> None:
    del context
    os.rename(source, target)
