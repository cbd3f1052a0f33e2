"""What is asked without a handle, of the default storage or another engine's: events, namespaces, who shares what."""

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
    """Yield what happened, the oldest first; with ``follow`` go on with what happens, until the iterator is closed.

    ``since`` and ``until`` are moments in nanoseconds since the epoch (``time.time_ns()``, ``Event.time_ns``); what
    happened right then is left out. With ``follow`` and neither of them only what happens from now on is told; with
    ``until`` the iterator ends then. ``filters`` are podman's: container, event, image, label (KEY=VALUE), pod, type;
    values of one are alternatives, and different ones must all hold. ``engine`` is by default one on the default
    storage.

    About the last two megabytes are kept. A process that is killed may take the line of what it was doing with it; how
    a container ended is told by its monitor. Raises InvalidSpec for a filter that is none.

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
    """Return the namespaces of this host that the caller may see, by ascending inode.

    ``types`` limits them to some kinds, ``pid`` to those that process is in. Without ``relations`` the kernel is not
    asked for parents, owners and network ids: that takes 15 us for each. ``engine`` is where pods are looked up
    (default: the default storage, if there is one). Needs no root: as with lsns, other users' processes are missing
    then.

    Raises InvalidSpec for a type that is none.

    >>> [(one.type, one.nprocs) for one in lsns(["user"])]      # doctest: +SKIP
    [('user', 83)]
    """
    from pypod.engine.inspect import lsns as namespaces

    return namespaces.lsns(engine or _default(), types, pid=pid, relations=relations)


def processes_in(inode: int) -> Sequence[types.ProcessFacts]:
    """Return the processes in the namespace with this number, in the order of their pids, as lsns(8) does.

    Raises NotFound when there is none that the caller may see.
    """
    from pypod.engine.inspect.lsns import processes_of

    return processes_of(inode)


def _default() -> Engine | None:
    """Return an engine on the default storage, None when there is none that the caller may read."""
    from pypod.engine.core.layout import Layout

    if not os.access(Layout().database, os.R_OK):
        return None
    from pypod.api.engine import Engine

    return Engine()


def compare(*refs: types.Container | types.Pod | str | int, engine: types.Engine | None = None) -> types.Matrix:
    """Return who shares what among containers, pods (their infra) and processes (by pid), in any number.

    A ``ref`` is one of these, a name or an id; ``engine`` is where those are looked up (default: the default storage).
    Raises NoSuchProcess when a ``ref`` is none of these, WrongState when it does not run.

    >>> pypod.compare("web", 1).shared()["user"]               # doctest: +SKIP
    True
    """
    from pypod.engine.inspect.sharing import column, matrix

    if engine is None:
        from pypod.api.engine import Engine as Default

        engine = Default()
    return matrix([column(engine, ref) if isinstance(ref, int | str) else column(ref.engine, ref.id) for ref in refs])


def check(root: str | None = None, *, repair: bool = False) -> types.HostReport:
    """Judge everything that pypod needs of this host and of its storage, and list what a crash left there.

    ``root`` is the storage directory, as that of ``Engine``: one that cannot be opened is among the findings. With
    ``repair`` what was left is removed.

    >>> report = pypod.check()                                         # doctest: +SKIP
    >>> report.usable, report.missing                                  # doctest: +SKIP
    (True, ())
    """
    from pypod.engine.core.context import Context
    from pypod.engine.inspect.check import report

    return report(lambda: Context(root), repair=repair)
