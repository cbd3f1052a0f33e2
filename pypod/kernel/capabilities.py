"""Linux capabilities: names, bits, and podman's way of adding and dropping them.

Names and bits are those of linux/capability.h; the order of results and the error messages are those of
containers/common (pkg/capabilities), which podman uses.
"""

from __future__ import annotations

from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# In order of their bits; the last one was added in Linux 5.9.
CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)

# containers.conf(5), default_capabilities.
DEFAULT_CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)

ALL = "ALL"

_VALUES = {name: 1 << bit for bit, name in enumerate(CAPABILITIES)}


def normalize(name: str) -> str:
    """Return the kernel's name of a capability: ``net_admin`` and ``cap_net_admin`` give ``CAP_NET_ADMIN``.

    ``all``, in any case, gives ``ALL``.

    Raises:
        InvalidSpec: there is no such capability.
    """
    upper = name.upper()
    if upper == ALL:
        return ALL
    full = upper if upper.startswith("CAP_") else f"CAP_{upper}"
    if full not in _VALUES:
        raise InvalidSpec("capability", f'"{full}": unknown capability')
    return full


def merge(
    base: Iterable[str], add: Iterable[str] = (), drop: Iterable[str] = (), *, bounding: Iterable[str] | None = None
) -> tuple[str, ...]:
    """Return ``base`` with ``add`` and without ``drop``, sorted by name, as ``--cap-add`` and ``--cap-drop`` do.

    Dropping ALL leaves exactly what is added. Adding ALL starts from ``bounding`` instead of ``base``, since a process
    cannot give what its bounding set lacks. ``bounding`` defaults to that of this process.

    Raises:
        InvalidSpec: a name is unknown, or the same capability is both added and dropped.
    """
    added, dropped = _normalize_all(add), _normalize_all(drop)
    if ALL in dropped:
        if ALL in added:
            raise InvalidSpec("cap-add", "adding all caps and removing all caps not allowed")
        return tuple(sorted(added))
    if ALL in added:
        return tuple(sorted(_normalize_all(bounding_set() if bounding is None else bounding) - dropped))
    if both := sorted(added & dropped):
        raise InvalidSpec("cap-add", f'capability "{both[0]}" cannot be dropped and added')
    return tuple(sorted((_normalize_all(base) - dropped) | added))


def _normalize_all(names: Iterable[str]) -> set[str]:
    return {normalize(name) for name in names}


def mask(names: Iterable[str]) -> int:
    """Return the set as the kernel's bit mask: bit N for capability N. ``ALL`` means every capability in this table.

    Raises:
        InvalidSpec: there is no such capability.
    """
    bits = 0
    for name in names:
        bits |= _VALUES.get(name) or _value(name)
    return bits


def _value(name: str) -> int:
    full = normalize(name)
    return (1 << len(CAPABILITIES)) - 1 if full == ALL else _VALUES[full]


def names(mask: int) -> tuple[str, ...]:
    """Return the capabilities in a bit mask, in order of their bits.

    A bit missing from this table, from a newer kernel, becomes ``CAP_N`` with its number.
    """
    return tuple(
        CAPABILITIES[bit] if bit < len(CAPABILITIES) else f"CAP_{bit}"
        for bit in range(mask.bit_length())
        if mask >> bit & 1
    )


def bounding_set() -> tuple[str, ...]:
    """Return the bounding set of this process, the most that it can give to a container.

    Bits newer than this table are left out, as there is no name to ask for them.
    """
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("CapBnd:"):
                return names(int(line.split()[1], 16) & (1 << len(CAPABILITIES)) - 1)
    return ()
