"""A container's root file system as a descriptor, with its mounts, whether the container runs or not.

That of a running container is its first process's /proc/PID/root, looked up by a descriptor of that process. For one
that does not run, a process of ours mounts its root and its volumes in a mount namespace of its own, and ends with us:
it waits for the end of a pipe. Meanwhile the container cannot start.
"""

from __future__ import annotations

import os

from pypod.engine.core import observe
from pypod.engine.core.locks import Lock
from pypod.errors import WrongState
from pypod.images.trees.places import Root
from pypod.kernel import pidfd
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.containers.holding import Held
    from pypod.engine.core.context import Context
    from pypod.engine.session.id_maps import Maps
    from pypod.model.container import ContainerSpec
    from pypod.store.records import ContainerRecord

_ATTEMPTS = 3  # it may start or end between two looks


class ContainerRoot:
    """The root of a container, ``root``, between ``open`` and ``close``.

    ``maps`` are the user and group maps of its user namespace, None when its ids are those of this process.
    """

    def __init__(self, context: Context, identifier: str) -> None:
        self._context = context
        self._identifier = identifier
        self._lock: Lock | None = None
        self._held: Held | None = None
        self.root = Root(-1)
        self.running = False

    @property
    def record(self) -> ContainerRecord:
        """The container's row in the database."""
        return records.find_container(self._context.database, self._identifier)

    @property
    def spec(self) -> ContainerSpec:
        """The container's specification."""
        return self._context.container_spec(self.record)

    @property
    def maps(self) -> Maps | None:
        """The user and group maps of its user namespace, None without one."""
        from pypod.model.namespace import HOST

        spec = self.spec
        if spec.user_namespace == HOST:
            return None
        from pypod.engine.session.id_maps import maps_for

        return maps_for(self._context, spec)

    @property
    def has_one_id(self) -> bool:
        """Whether its root owns everything, as there is no other id."""
        if not self._context.rootless:
            return False
        from pypod.engine.session import session

        own = session.of(self._context)
        return own is not None and own.has_one_id

    def open(self) -> None:
        """Open the root; whatever this raises, ``close`` must be called."""
        for _ in range(_ATTEMPTS):
            if self._of_running() or self._of_stopped():
                return
        name = self.record.name
        raise WrongState(name, "running", f"container {name} starts and ends all the time")

    def close(self) -> None:
        """Close the root, and let the container start again."""
        self.root.close()
        held, self._held = self._held, None
        if held is not None:
            held.end()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.__exit__(None, None, None)

    def _of_running(self) -> bool:
        state = observe.state_of(self._context, self._identifier)
        try:
            fd = open_root(state.pid, state.start_time) if state.alive else -1
        except PermissionError as error:
            if state.status != observe.INITIALIZED:
                raise
            name = self.record.name
            message = f"the files of container {name} cannot be reached by a user while it is only initialized"
            hint = f"pypod start {name}, or undo the initialization: pypod container cleanup {name}"
            raise WrongState(name, state.status, message, hint=hint) from error
        if fd < 0:
            return False
        self.root, self.running = Root(fd), True
        return True

    def _of_stopped(self) -> bool:
        self._lock = Lock(self._context.layout.container(self._identifier))
        self._lock.__enter__()
        if observe.state_of(self._context, self._identifier).alive:
            self._lock.__exit__(None, None, None)
            self._lock = None
            return False
        record = self.record  # it may have been removed while we waited
        from pypod.engine.containers.holding import Held

        self._held = Held(self._context, record)
        self.root = Root(open_root(self._held.pid, self._held.start_time))
        return True


def open_root(pid: int, start_time: int) -> int:
    """Return an O_PATH descriptor of the root directory of this very process, -1 when it has exited."""
    process = pidfd.open_process(pid, start_time)
    if process is None:
        return -1
    try:
        try:
            fd = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, ProcessLookupError):
            return -1
        if not pidfd.wait(process, 0):  # else the pid may have been another process's by then
            return fd
        os.close(fd)
        return -1
    finally:
        os.close(process)
