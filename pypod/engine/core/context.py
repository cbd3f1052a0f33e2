"""The context passed to every function of the engine: storage, database, programs, cgroups and firewall of the host."""

from __future__ import annotations

import os
from _collections_abc import Callable

from pypod.engine.core import types
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.layout import Layout
from pypod.kernel.pidfd import PROC
from pypod.store.database import Database

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection

    from pypod.engine.configuration.files import Settings, Stamp
    from pypod.engine.session.session import Session
    from pypod.engine.storage import drivers
    from pypod.kernel.cgroups.driver import Driver
    from pypod.model.container import ContainerSpec
    from pypod.model.pod import PodSpec
    from pypod.network.firewall import Channels
    from pypod.runtime.sealed_programs import Programs

_REMEMBERED = 256
EVENTS_VARIABLE = "PYPOD_EVENTS_BACKEND"  # file or none: what --events-backend says
NO_EVENTS = "none"


def _unheard(_: str) -> None:
    """Take a warning that nobody asked for."""


class Context:
    """One storage directory, opened. Cheap to create, safe to use from any thread, and without any state of pods.

    ``root`` is the directory that everything is kept in (default: $PYPOD_ROOT, /var/lib/pypod for root). ``warn`` is
    called with messages about what succeeds, but not as asked.
    Raises PermissionDenied when the directory belongs to another user or is writable by others.
    """

    def __init__(self, root: str | None = None, *, warn: Callable[[str], object] | None = None) -> None:
        self.warn: Callable[[str], object] = warn or _unheard
        self.layout = Layout(root)
        self.layout.prepare()
        self.database = Database(self.layout.database, _guard(self.layout))
        self._programs: Programs | None = None
        self.proc = PROC
        with Boundary("read the boot id"):
            self.boot_id = PROC.boot_id()
        self._rootless: bool | None = None
        self.at_bridges = False  # whether this process is in the network namespace of the user's bridges
        self.known_session: Session | None = None  # found last (engine/session/session.py)
        self.storage_driver: drivers.Driver | None = None  # once known
        self.known_settings: tuple[Stamp, Settings] | None = None  # read last (engine/configuration/current.py)
        self._events_backend: str | None = None
        self._cgroups: Driver | None = None
        self._firewall: Channels | None = None
        self._specs: dict[str, ContainerSpec] = {}
        self._pod_specs: dict[str, PodSpec] = {}
        self.hostnames: dict[str, str] = {}  # of pods, by id: it never changes
        self._filters: dict[tuple[str, ...], tuple[bytes, int]] = {}

    def container_spec(self, record: types.ContainerRecord) -> types.ContainerSpec:
        """Return the specification of a container; each distinct JSON text is parsed once.

        Raises StoreError when the record is damaged, InvalidSpec for an infra.
        """
        spec = self._specs.get(record.spec_json)
        if spec is None:
            from pypod.store.stored_specs import container_spec

            spec = container_spec(record)
            self.remember(record, spec)
        return spec

    def remember(self, record: types.ContainerRecord, spec: types.ContainerSpec) -> None:
        """Cache a specification that was just written, so that the next reader need not parse it."""
        if len(self._specs) >= _REMEMBERED:
            self._specs.clear()
        self._specs[record.spec_json] = spec

    def pod_spec(self, record: types.PodRecord) -> types.PodSpec:
        """Return the specification of a pod; each distinct JSON text is parsed once.

        Raises StoreError when the record is damaged.
        """
        spec = self._pod_specs.get(record.spec_json)
        if spec is None:
            from pypod.store.stored_specs import pod_spec

            spec = pod_spec(record)
            self.remember_pod(record, spec)
        return spec

    def remember_pod(self, record: types.PodRecord, spec: types.PodSpec) -> None:
        """Cache a pod's specification that was just written, so that the next reader need not parse it."""
        if len(self._pod_specs) >= _REMEMBERED:
            self._pod_specs.clear()
        self._pod_specs[record.spec_json] = spec

    def default_filter(self, capabilities: tuple[str, ...]) -> tuple[bytes, int]:
        """Return podman's seccomp filter for a set of capabilities, and its flags; read from disk once."""
        found = self._filters.get(capabilities)
        if found is None:
            from pypod.runtime.seccomp.filter import filter_and_flags

            found = self._filters[capabilities] = filter_and_flags(None, frozenset(capabilities), self.layout.cache)
        return found

    def owner(self) -> types.Owner:
        """Return the identity of this process, as the owner of ephemeral pods and containers."""
        from pypod.store.records import Owner

        pid = os.getpid()
        return Owner(pid=pid, start_time=self.proc.start_time(pid) or 0, boot_id=self.boot_id)

    @property
    def events_backend(self) -> str:
        """Where events go, in podman's words, decided at first use; empty for the file."""
        if self._events_backend is None:
            self._events_backend = self._chosen_events_backend()
        return self._events_backend

    def _chosen_events_backend(self) -> str:
        return os.environ.get(EVENTS_VARIABLE, "")

    def use_events_backend(self, name: str) -> None:
        """Replace the decision where events go."""
        self._events_backend = name

    @property
    def event_file(self) -> str:
        """The file that events are appended to; none is kept with the backend ``none``."""
        return os.devnull if self.events_backend == NO_EVENTS else self.layout.events

    @property
    def rootless(self) -> bool:
        """Whether the caller is an unprivileged user, or root of a user namespace only.

        Such a root has the ids mapped into its namespace, but no privilege that the kernel checks in the initial one.
        """
        if self._rootless is None:
            from pypod.kernel.idmap import in_user_namespace

            self._rootless = in_user_namespace()
        return self._rootless

    @property
    def inside(self) -> bool:
        """Whether the caller is root of a user namespace."""
        return self.rootless and os.geteuid() == 0

    @property
    def cgroups(self) -> types.Driver:
        """The driver for this host's cgroup hierarchies, detected at first use."""
        if self._cgroups is None:
            self._cgroups = self._driver()
        return self._cgroups

    def cgroups_of(self, record: types.ContainerRecord) -> types.Driver:
        """Return the driver for the cgroup of a container, which it may do without (--cgroups=disabled)."""
        if record.cgroup:
            return self.cgroups
        from pypod.kernel.cgroups.none import NoDriver

        return NoDriver(lead="this container does not have a cgroup")

    @property
    def programs(self) -> types.Programs:
        """Sealed copies of the C programs, made at first use."""
        if self._programs is None:
            from pypod.runtime.sealed_programs import Programs

            self._programs = Programs()
        return self._programs

    @property
    def firewall(self) -> types.Channels:
        """Channels to the host's firewall."""
        if self._firewall is None:
            from pypod.network import firewall

            self._firewall = firewall.Channels()
        return self._firewall

    def use_cgroups(self, driver: types.Driver) -> None:
        """Replace the cgroup driver."""
        self._cgroups = driver

    def _driver(self) -> Driver:
        if self.rootless:
            from pypod.engine.core import scope

            return scope.driver(self)
        from pypod.kernel.cgroups.detect import detect
        from pypod.kernel.cgroups.driver import driver_for

        return driver_for(detect())

    def close(self) -> None:
        """Close descriptors and database connections; pods and containers keep running."""
        if self._programs is not None:
            self._programs.close()
        self.database.close()
        if self._firewall is not None:
            self._firewall.close()

    def __enter__(self) -> types.Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_firewall"):  # else its own __init__ failed
            self.close()


def _guard(layout: Layout) -> Callable[[Connection], object]:
    """Return the check that refuses a new database where containers exist: theirs was lost. It holds no context."""

    def refuse(_: Connection) -> None:
        from pypod.engine.core import lost_records

        lost_records.refuse_new_database(layout, PROC.boot_id())

    return refuse


def require_root(what: str) -> None:
    """Raise PermissionDenied unless the caller is root, of the host or of a user's session."""
    from pypod.errors import PermissionDenied

    if os.geteuid() != 0:
        raise PermissionDenied(what, f"{what} needs root", hint="pypod unshare COMMAND runs it as root in your session")
