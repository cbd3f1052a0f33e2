"""Functions that need no handle: events, namespaces, what is shared; for the default storage or an engine's."""

from __future__ import annotations

import os
from _collections_abc import Iterator, Mapping, Sequence

from pypod.api import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pypod.api.engine import Engine


def events(
    since: int | None = None,
    until: int | None = None,
    *,
    filters: Mapping[str, str | Sequence[str]] | None = None,
    follow: bool = False,
    engine: types.Engine | None = None,
) -> Iterator[types.Event]:
    """Yield past events, oldest first; with ``follow`` continue with new ones until the iterator is closed.

    ``since`` and ``until`` are in nanoseconds since the epoch (``time.time_ns()``, ``Event.time_ns``), both exclusive.
    With ``follow`` and neither of them, only new events are yielded; with ``until`` the iterator ends at that time.
    ``filters`` are podman's: container, event, image, label (KEY=VALUE), pod, type; values of one filter are
    alternatives, and different filters must all match. ``engine`` is by default one on the default storage.

    About the last two megabytes are kept. The event of what a process was doing may be missing if it was killed; the
    end of a container is recorded by its monitor. Raises InvalidSpec for an unknown filter.

    >>> for event in events(filters={"event": "died"}):                # doctest: +SKIP
    ...     print(event.name, event.exit_code)
    web 137
    """
    if engine is None:
        from pypod.api.engine import Engine as Default

        engine = Default()
    return engine.events(since, until, filters=filters, follow=follow)


def lsns(
    types: Sequence[str] = (), *, pid: int | None = None, engine: types.Engine | None = None, relations: bool = True
) -> types.Namespaces:
    """Return the namespaces of this host that are visible to the caller, by ascending inode.

    ``types`` limits them to some kinds, ``pid`` to those of one process. Without ``relations`` the kernel is not asked
    for parents, owners and network ids, which takes 15 us for each namespace. ``engine`` is where pods are looked up
    (default: the default storage, if it exists). Needs no root; as with lsns, other users' processes are missing
    without it.

    Raises InvalidSpec for an unknown type.

    >>> [(one.type, one.nprocs) for one in lsns(["user"])]      # doctest: +SKIP
    [('user', 83)]
    """
    from pypod.engine.inspect import lsns as namespaces

    return namespaces.lsns(engine or _default(), types, pid=pid, relations=relations)


def processes_in(inode: int) -> Sequence[types.ProcessFacts]:
    """Return the processes in the namespace with this inode number, ordered by pid, as lsns(8) does.

    Raises NotFound when none is visible to the caller.
    """
    from pypod.engine.inspect.lsns import processes_of

    return processes_of(inode)


def _default() -> Engine | None:
    """Return an engine on the default storage, None when the caller cannot read any."""
    from pypod.engine.core.layout import Layout

    if not os.access(Layout().database, os.R_OK):
        return None
    from pypod.api.engine import Engine

    return Engine()


def compare(*refs: types.Container | types.Pod | str | int, engine: types.Engine | None = None) -> types.Matrix:
    """Return which namespaces are shared by any number of containers, pods (their infra) and processes (by pid).

    A ``ref`` is one of these, a name or an id; ``engine`` is where names and ids are looked up (default: the default
    storage). Raises NoSuchProcess when a ``ref`` is none of these, WrongState when it is not running.

    >>> pypod.compare("web", 1).shared()["user"]               # doctest: +SKIP
    True
    """
    from pypod.engine.inspect.sharing import column, matrix

    if engine is None:
        from pypod.api.engine import Engine as Default

        engine = Default()
    return matrix([column(engine, ref) if isinstance(ref, int | str) else column(ref.engine, ref.id) for ref in refs])


def check(root: str | None = None, *, repair: bool = False) -> types.HostReport:
    """Check everything that pypod needs of this host and of its storage, and list what a crash left behind.

    ``root`` is the storage directory, as for ``Engine``; that it cannot be opened is reported as a finding. With
    ``repair`` what was left behind is removed.

    >>> report = pypod.check()                                         # doctest: +SKIP
    >>> report.usable, report.missing                                  # doctest: +SKIP
    (True, ())
    """
    from pypod.engine.core.context import Context
    from pypod.engine.inspect.check import report

    return report(lambda: Context(root), repair=repair)


def built_s() -> int:
    """Return when this pypod's programs were built, in seconds since the epoch; 0 when they are missing."""
    from pypod.engine.inspect.build import built_s

    return built_s()
