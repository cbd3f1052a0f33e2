"""Methods of a container that run commands in it."""

from __future__ import annotations

from _collections_abc import Mapping, Sequence

from pypod.api import types
from pypod.api.handle import ContainerHandle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pypod.engine.lifecycle.exec import ExecSpec


class ExecMethods(ContainerHandle):
    """Run commands in a running container."""

    __slots__ = ()

    def exec(
        self,
        command: Sequence[str] | str,
        *,
        stdin: bytes | None = None,
        environment: Mapping[str, str] | None = None,
        user: str = "",
        working_directory: str = "",
        privileged: bool = False,
        timeout: float | None = None,
        pass_fds: Sequence[int] | Mapping[int, int] = (),
    ) -> types.ExecResult:
        """Run a command in the container until it exits; return its exit code, stdout and stderr.

        ``stdin`` is all of its input. The descriptors ``pass_fds`` become 3, 4 and so on there, or the keys of a
        mapping. Raises CommandNotFound, CommandNotExecutable, WrongState, and DeadlineExceeded after ``timeout``
        seconds; the command is then killed.
        """
        from pypod.engine.lifecycle import process

        spec = _exec_spec(command, environment, user, working_directory, privileged, pass_fds=pass_fds)
        return process.run(self._engine, self.record(), spec, stdin, timeout)

    def ps(self, arguments: Sequence[str] = ()) -> types.ExecResult:
        """Run ps(1) in the container and return its result; where it has none, the host's ps in its pid namespace.

        Raises WrongState, and CommandNotFound when the host lacks ps, nsenter, unshare or mount as well.
        """
        from pypod.engine.inspect.host_ps import run

        return run(self._engine, self.record(), arguments)

    def popen(
        self,
        command: Sequence[str] | str,
        *,
        stdin: bool = False,
        environment: Mapping[str, str] | None = None,
        user: str = "",
        working_directory: str = "",
        privileged: bool = False,
        terminal: bool = False,
        pass_fds: Sequence[int] | Mapping[int, int] = (),
    ) -> types.Process:
        """Start a command in the container and return its process: iterate over the output, ``write`` input, ``wait``.

        With ``terminal`` it runs on a pseudoterminal of its own, whose other end is ``Process.terminal_fd``. The
        descriptors ``pass_fds`` are those of ``exec``.
        """
        from pypod.engine.lifecycle import process

        spec = _exec_spec(command, environment, user, working_directory, privileged, terminal, pass_fds)
        return process.execute(self._engine, self.record(), spec, stdin=stdin)

    def spawn(
        self,
        command: Sequence[str] | str,
        *,
        environment: Mapping[str, str] | None = None,
        user: str = "",
        working_directory: str = "",
        privileged: bool = False,
        pass_fds: Sequence[int] | Mapping[int, int] = (),
    ) -> str:
        """Start a command in the container, detached: its streams are /dev/null, and it outlives this process.

        Returns its id, which ``inspect`` lists in ExecIDs until the command has ended.

        >>> container.spawn(["sleep", "60"])                            # doctest: +SKIP
        """
        from pypod.engine.lifecycle import exec as execution
        from pypod.engine.lifecycle.exec_ids import of_process

        spec = _exec_spec(command, environment, user, working_directory, privileged, pass_fds=pass_fds)
        launched = execution.start(self._engine, self.record(), spec, (-1, -1, -1), detach=True)
        return of_process(self.id, launched.process_pid, launched.start_time)

    def explain_exec(
        self,
        command: Sequence[str] | str,
        *,
        environment: Mapping[str, str] | None = None,
        user: str = "",
        working_directory: str = "",
        privileged: bool = False,
        terminal: bool = False,
    ) -> types.Explanation:
        """Return the steps that running a command in the container would take now; ``print`` shows them.

        Nothing is run. Raises WrongState when the container is not running.
        """
        from pypod.engine.lifecycle.explain import of_exec

        spec = _exec_spec(command, environment, user, working_directory, privileged, terminal)
        return of_exec(self._engine, self.record(), spec)


def _exec_spec(
    command: Sequence[str] | str,
    environment: Mapping[str, str] | None,
    user: str,
    working_directory: str,
    privileged: bool,
    terminal: bool = False,
    pass_fds: Sequence[int] | Mapping[int, int] = (),
) -> ExecSpec:
    from pypod.engine.lifecycle import exec as execution
    from pypod.engine.lifecycle import passing
    from pypod.engine.specs.process import check_environment, check_user

    return execution.ExecSpec(
        command=execution.arguments(command),
        environment=check_environment(environment or {}),
        user=check_user(user),
        working_directory=working_directory,
        privileged=privileged,
        terminal=terminal,
        pass_fds=passing.descriptors(pass_fds),
    )
