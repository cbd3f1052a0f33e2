"""ps(1) for a container: its own, or the host's in its pid namespace when it has none."""

from __future__ import annotations

import os

from pypod.engine.core.boundary import Boundary
from pypod.engine.core.enter import open_namespace
from pypod.engine.lifecycle import exec as execution
from pypod.engine.lifecycle import process
from pypod.engine.session import session
from pypod.errors import CommandNotFound, DeadlineExceeded
from pypod.kernel import programs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.engine.core.context import Context
    from pypod.engine.lifecycle.process import ExecResult
    from pypod.store.records import ContainerRecord

_TIMEOUT_S = 60
# ps reads /proc: one of the namespace's has to be mounted, where nobody else sees it.
_SCRIPT = 'mount -t proc proc /proc && exec ps "$@"'
_NEEDED = ("nsenter", "unshare", "mount", "ps")


def run(context: Context, record: ContainerRecord, arguments: Sequence[str]) -> ExecResult:
    """Run ps in a container and return its result. Raises WrongState, CommandNotFound when the host has none either."""
    spec = execution.ExecSpec(command=execution.arguments(["ps", *arguments]))
    try:
        return process.run(context, record, spec, None, _TIMEOUT_S)
    except CommandNotFound:
        if not all(map(programs.installed, _NEEDED)):
            raise
        return _of_host(context, record, spec.command[1:])


def _of_host(context: Context, record: ContainerRecord, arguments: Sequence[str]) -> ExecResult:
    import subprocess

    state = execution.running_state(context, record)
    namespace = open_namespace(record.name, state, "pid")
    try:
        command: tuple[str, ...] = (
            *("nsenter", f"--pid=/proc/self/fd/{namespace}", "--"),
            *("unshare", "--mount", "--propagation", "private", "--"),
            *("sh", "-c", _SCRIPT, "ps", *arguments),
        )
        program, variables = command[0], dict(os.environ)
        if context.rootless and not context.inside:
            found = session.unshared(context, command)
            program, command, variables = found.program, found.arguments, dict(found.environment)
        with Boundary(f"run ps for container {record.name}"):
            done = subprocess.run(
                command,
                executable=program,
                env=variables,
                pass_fds=(namespace,),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
    except subprocess.TimeoutExpired:
        raise DeadlineExceeded("ps", _TIMEOUT_S) from None
    finally:
        os.close(namespace)
    return process.ExecResult(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)
