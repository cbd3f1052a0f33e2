"""A process of a container, as ``top`` shows it."""

from __future__ import annotations

from pypod.model.value import Value


class ContainerProcess(Value):
    """One process in a container's pid namespace.

    ``pid``, ``ppid`` and ``pgid`` are those inside, 0 for a parent or group outside; ``host_pid`` is the caller's view.
    ``user``, ``real_user``, ``group``, ``real_group`` and ``groups`` are names from the container's passwd and group
    files; an id without a name is a number. ``host_uid``, ``host_gid`` and ``host_groups`` are the caller's view.

    ``state`` is a letter of proc(5); ``arguments`` is empty for a zombie. Times are nanoseconds: ``started_ns`` since
    the epoch, ``elapsed_ns`` since then, ``cpu_ns`` of processor time. ``tty`` is ``pts/0`` or the like, empty without
    one. ``capabilities`` maps inh, prm, eff, bnd and amb to names. ``seccomp`` is disabled, strict or filter; ``label``
    is the security label, empty when no module gives one.
    """

    pid: int
    ppid: int
    pgid: int
    host_pid: int
    comm: str
    arguments: tuple[str, ...]
    state: str
    user: str
    real_user: str
    group: str
    real_group: str
    groups: tuple[str, ...]
    host_uid: int
    host_gid: int
    host_groups: tuple[int, ...]
    started_ns: int
    elapsed_ns: int
    cpu_ns: int
    tty: str
    nice: int
    virtual_bytes: int
    resident_bytes: int
    capabilities: dict[str, tuple[str, ...]]
    seccomp: str
    label: str

    @property
    def cpu_percent(self) -> float:
        """Processor time in percent of the time since its start."""
        return 100 * self.cpu_ns / self.elapsed_ns if self.elapsed_ns else 0.0
