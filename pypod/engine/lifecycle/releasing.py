"""Start what is initialized: ask the monitor to let the process exec."""

from __future__ import annotations

from pypod.engine.lifecycle import stopping
from pypod.errors import InvalidSpec, LaunchFailed
from pypod.kernel.descriptors import connect_in
from pypod.runtime.failures import failure
from pypod.runtime.launcher import REPORT_BYTES, STARTED, parse_report
from pypod.runtime.ops import Op, Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.engine.lifecycle.start import Caller
    from pypod.runtime.launcher import Report
    from pypod.store.records import ContainerRecord

_SOCKET = "start"


def release(context: Context, record: ContainerRecord, caller: Caller | None, *, attended: bool) -> None:
    """Let the process of an initialized container exec; the caller has the container's lock.

    ``attended``: the monitor leaves it to us to remove the container at its end.

    Raises LaunchFailed and its subclasses; then nothing is left running. Raises InvalidSpec for descriptors and
    variables, which an initialized process cannot get any more.
    """
    if caller is not None and (caller.pass_fds or caller.environment):
        message = f"container {record.name} is initialized: it takes no more descriptors and environment variables"
        raise InvalidSpec("pass_fds", message, hint=f"pypod container cleanup {record.name} undoes the initialization")
    report = _ask(context.layout.container(record.id), attended=attended)
    if report is not None and report.kind == STARTED:
        if report.error:
            context.warn(f"a hook of poststart failed: {report.call}")
        return
    stopping.release(context, record)
    if report is not None and report.call.startswith(("exit ", "signal ")):
        raise LaunchFailed("run hooks", report.call, report.error, message="a hook of startContainer failed")
    plan = Plan([Op("execute", *context.container_spec(record).arguments)])
    raise failure(plan, report.replace(operation=0) if report is not None else None, "monitor")


def _ask(directory: str, *, attended: bool) -> Report | None:
    """Ask the monitor for the start; return its answer, None when it has ended."""
    import _socket

    channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        connect_in(channel, directory, _SOCKET)
        channel.send(b"a" if attended else b"s", _socket.MSG_NOSIGNAL)
        data = channel.recv(REPORT_BYTES)
    except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError, BrokenPipeError):
        return None
    finally:
        channel.close()
    return parse_report(data) if len(data) == REPORT_BYTES else None
