"""Run another command in a running container. An exec is resolved once, into a value."""

from __future__ import annotations

from pypod.engine.core import announce, effects, observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.lifecycle.derived import filter_of, ulimits
from pypod.engine.lifecycle.joining import without_host
from pypod.engine.lifecycle.steps import Launch, Program
from pypod.engine.session import session
from pypod.errors import InvalidSpec, NoSuchContainer, WrongState
from pypod.kernel.abi import CLONE_NEWPID, CLONE_NEWUSER, NAMESPACES
from pypod.kernel.capabilities import bounding_set
from pypod.kernel.programs import LAUNCHER
from pypod.model.container import KEEP_GROUPS
from pypod.model.namespace import HOST
from pypod.model.value import Value
from pypod.runtime.compiler.process import oom_score, process_ops
from pypod.runtime.compiler.slots import opened
from pypod.runtime.compiler.surroundings import Surroundings
from pypod.runtime.oci_process import assigned, capability_sets, group_annotations, rlimits, user_of, variables
from pypod.runtime.ops import Op, plan
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Self

    from pypod.engine.core.context import Context
    from pypod.engine.lifecycle.steps import Step
    from pypod.engine.session.session import Session
    from pypod.model.container import ContainerSpec, ContainerState
    from pypod.model.secret import SecretUse
    from pypod.runtime.launcher import Launched
    from pypod.runtime.ops import Plan
    from pypod.store.records import ContainerRecord

_JOINED = ("mnt", "net", "ipc", "uts", "cgroup", "pid")


class ExecSpec(Value):
    """The options of an exec; empty ``user`` and ``working_directory`` stand for the container's own.

    ``pass_fds`` are descriptors of the caller, each after its number there.
    """

    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    user: str = ""
    working_directory: str = ""
    privileged: bool = False
    terminal: bool = False
    pass_fds: tuple[tuple[int, int], ...] = ()


class Exec(Value):
    """A resolved exec that has not been performed: ``asked`` in a container whose ``state`` is running."""

    context: Context
    record: ContainerRecord
    container: ContainerSpec
    asked: ExecSpec
    state: ContainerState
    session: Session | None

    @classmethod
    def resolve(cls, context: Context, record: ContainerRecord, asked: ExecSpec, state: ContainerState) -> Self:
        """Resolve an exec as of now."""
        container = context.container_spec(record)
        return cls(
            context=context,
            record=record,
            container=container,
            asked=asked,
            state=state,
            session=session.of(context),
        )

    def steps(self) -> list[Step]:
        """Return the steps in order."""
        return [Launch(program(), self.plan)]

    def plan(self) -> Plan:
        """Return the plan of the launcher and of the process that it creates."""
        context, record, state, container = self.context, self.record, self.state, self.container
        cgroups, config, around = context.cgroups_of(record), self._configuration(), self._surroundings()
        born_in = cgroups.tracking_directory(record.cgroup) if cgroups.clones_into_cgroup else ""
        joined_trees = cgroups.present(record.cgroup)  # an update may have added some
        inodes = context.proc.namespaces(state.pid) or {} if context.rootless else {}
        kinds = without_host(context, _JOINED, inodes)
        joined = sum(NAMESPACES[kind].clone_flag for kind in kinds if kind != "pid")
        joined |= CLONE_NEWUSER if container.user_namespace != HOST else 0
        return plan(
            [
                *session.ops(context, self.session),
                announce.event_op(context, record, start=(announce.EXEC,), end=announce.EXEC_DIED),
                *oom_score(config["process"]),
                *([Op("descriptors", *(number for number, _ in asked))] if (asked := self.asked.pass_fds) else []),
                *([Op("join", state.pid, state.start_time, CLONE_NEWPID)] if "pid" in kinds else []),
            ],
            [
                Op("clone", 0, born_in),
                *[Op("join_group", path) for path in cgroups.join_files(record.cgroup, joined_trees)],
                *opened(config, around),
                Op("join", state.pid, state.start_time, joined),
                *([Op("console", 0)] if self.asked.terminal else []),
                *process_ops(config, around),
            ],
        )

    def _surroundings(self) -> Surroundings:
        seccomp, flags = (b"", 0) if self.asked.privileged else filter_of(self.context, self.container)
        return Surroundings(
            target="",
            seccomp=seccomp,
            seccomp_flags=flags,
            keep_groups=self.session is not None and self.session.has_one_id,
            secrets=self._secrets(),
        )

    def _secrets(self) -> tuple[tuple[str, SecretUse], ...]:
        """Return the secrets that are variables, each with the path of its content."""
        if not self.container.secrets:
            return ()
        from pypod.engine.storage import secrets

        found = secrets.with_paths(self.context, self.record.id, self.container)
        asked = dict(self.asked.environment)
        return tuple((path, use) for path, use in found if not use.is_file and use.target not in asked)

    def _configuration(self) -> dict[str, Any]:
        """Return the part of an OCI configuration that describes the process."""
        asked, container = self.asked, self.container
        capabilities = list(bounding_set()) if asked.privileged else list(container.capabilities)
        user = asked.user or container.user
        # as podman: the container's groups are for its own user
        groups = () if asked.user and KEEP_GROUPS not in container.groups else container.groups
        values = variables(container)
        if asked.terminal:
            values.setdefault("TERM", "xterm")
        values.update(asked.environment)
        return {
            "process": {
                "terminal": asked.terminal,
                "user": user_of(user, groups, container.umask),
                "args": list(asked.command),
                "env": assigned(values),
                "cwd": asked.working_directory or container.working_directory,
                "capabilities": capability_sets(user, capabilities, container.added_capabilities),
                "rlimits": rlimits(ulimits(container)),
                "noNewPrivileges": container.no_new_privileges and not asked.privileged,
                **({} if container.oom_score_adj is None else {"oomScoreAdj": container.oom_score_adj}),
            },
            "annotations": group_annotations(groups),
            **({"linux": {"personality": {"domain": container.personality}}} if container.personality else {}),
        }


def program(*, detach: bool = False) -> Program:
    """Return the program that performs the plan of an exec and, unless ``detach``, reports how the command ended."""
    return Program(name=LAUNCHER, group="" if detach else None)


def start(
    context: Context, record: ContainerRecord, spec: ExecSpec, stdio: tuple[int, int, int], *, detach: bool = False
) -> Launched:
    """Start a command on the given descriptors (-1: /dev/null). Raises WrongState unless the container is running."""
    with Boundary(f"exec in container {record.name}"):
        state, launcher = running_state(context, record), program(detach=detach)
        effects.perform(launcher.preparations(context))
        with launcher.start(context, stdio) as launching:
            launching.passed = tuple(fd for _, fd in spec.pass_fds)
            return launching.run(Exec.resolve(context, record, spec, state).plan())


def running_state(context: Context, record: ContainerRecord) -> ContainerState:
    """Return the state of a running container. Raises WrongState when it is not running, NoSuchContainer."""
    state = observe.state_of(context, record.id)
    if state.status != "running":
        if not records.is_container(context.database, record.id):  # it may have been removed since the record was read
            raise NoSuchContainer(record.name)
        raise WrongState(
            record.name,
            state.status,
            "can only create exec sessions on running containers: container state improper",
        )
    return state


def arguments(command: Sequence[str] | str) -> tuple[str, ...]:
    """Return a command line as a tuple; a single string is a program without arguments. Raises InvalidSpec."""
    words = (command,) if isinstance(command, str) else tuple(command)
    if not words:
        raise InvalidSpec("command", "must provide a non-empty command to start an exec session: invalid argument")
    if any("\0" in word for word in words):
        raise InvalidSpec("command", "an argument must not contain a NUL byte")
    return words
