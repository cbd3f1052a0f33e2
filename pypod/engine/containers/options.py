"""What may be asked of a container, by name."""

from __future__ import annotations

from pypod.engine.resources.limits import DEVICE_OPTIONS
from pypod.engine.resources.limits import OPTIONS as LIMIT_OPTIONS
from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pypod.api.options import NamespaceOptions
    from pypod.engine.resources.limits import LimitOptions
    from pypod.model.health import Healthcheck
    from pypod.model.mount import Mount

    class ContainerOptions(LimitOptions, NamespaceOptions, total=False):
        """What may be asked of a container, beside its command. Sizes in bytes, times in seconds."""

        name: str
        rootfs: str
        overlay: bool
        idmap: bool
        entrypoint: Sequence[str]
        environment: Mapping[str, str]
        env_merge: Sequence[str]
        unsetenv: Sequence[str]
        unsetenv_all: bool
        working_directory: str
        user: str
        groups: Sequence[str]
        passwd: bool
        passwd_entry: str
        cap_add: Sequence[str]
        cap_drop: Sequence[str]
        privileged: bool
        security_opt: Sequence[str]
        volumes: Sequence[str]
        mounts: Sequence[Mount]
        tmpfs: Sequence[str]
        volumes_from: Sequence[str]
        image_volume: str
        read_only: bool
        pid: str
        ipc: str
        uts: str
        cgroupns: str
        init: bool
        ulimits: Sequence[str]
        sysctls: Mapping[str, str]
        labels: Mapping[str, str]
        stop_signal: str | int
        stop_timeout: int
        shm_size: int
        interactive: bool
        terminal: bool
        remove: bool
        umask: int
        healthcheck: Healthcheck | None
        exposed_ports: Sequence[str]
        publish_all: bool
        oom_score_adj: int


MODE_OPTIONS = {"pid": "pid", "ipc": "ipc", "uts": "uts", "cgroup": "cgroupns"}
# The options whose value is a list: a text in its place would be taken for a list of letters.
_LISTS = (
    *("entrypoint", "groups", "add_hosts", "cap_add", "cap_drop", "security_opt", "volumes", "mounts", "tmpfs"),
    *("ulimits", "exposed_ports", "volumes_from", "env_merge", "unsetenv", "network_aliases", "dns", "dns_options"),
    *("dns_search", "ports", "uidmap", "gidmap"),
)
_MAPPINGS = ("environment", "sysctls", "labels", *DEVICE_OPTIONS)
_OPTIONS = frozenset(
    (
        *(*_LISTS, *_MAPPINGS, *MODE_OPTIONS.values()),
        *("name", "rootfs", "overlay", "idmap", "working_directory", "user", "hostname", "no_hosts", "privileged"),
        *("read_only", "init", "stop_signal", "stop_timeout", "shm_size", "interactive", "terminal", "remove"),
        *("cgroup_parent", "umask", "healthcheck", "image_volume", "passwd", "passwd_entry", "unsetenv_all"),
        *("network", "ip", "ip6", "mac_address", "oom_score_adj", "publish_all", "userns", "subuidname", "subgidname"),
        *LIMIT_OPTIONS,
    )
)


def check_options(options: Mapping[str, object]) -> None:
    """Raise TypeError for an option there is none of, and InvalidSpec for one that is no list where it must be."""
    unknown = options.keys() - _OPTIONS
    if unknown:
        raise TypeError(f"{min(unknown)!r} is not an option of a container")
    for name in _LISTS:
        if isinstance(options.get(name), str | bytes):
            raise InvalidSpec(name, f"{name} must be a list of texts, not {options[name]!r}")
    for name in _MAPPINGS:
        if name in options and not hasattr(options[name], "items"):
            raise InvalidSpec(name, f"{name} must be a mapping, not {options[name]!r}")
