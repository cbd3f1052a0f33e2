"""The values that podman refuses in containers.conf(5), in its words."""

from __future__ import annotations

from pypod.model.reports.event import LOGGERS
from pypod.model.reports.log import DRIVERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.configuration.files import Settings

_LEAST_LOG_BYTES = 8192
# table and key: the values that there are, and podman's words for another one
_KNOWN: dict[tuple[str, str], tuple[tuple[str, ...], str]] = {
    ("containers", "log_driver"): (DRIVERS, "running container create option: invalid log driver: invalid argument"),
    ("engine", "events_logger"): (LOGGERS, "unknown event logger type: {upper}"),
    ("engine", "lock_type"): (("file", "shm"), "unknown lock type {}: invalid argument"),
    ("engine", "pod_exit_policy"): (
        ("continue", "stop"),
        'running pod create option: invalid pod exit policy: "{}"',
    ),
    ("network", "network_backend"): (
        ("cni", "netavark"),
        'unsupported network backend "{}", check network_backend in containers.conf',
    ),
}


def check(settings: Settings) -> None:
    """Raise InvalidSpec for the first value that does not exist."""
    for (table, key), (known, message) in _KNOWN.items():
        value = settings.get(table, key)
        if value and value.lower() not in known:
            raise settings.refused(table, key, message.format(value, upper=value.upper()))
    size = settings.get("containers", "log_size_max")
    if size is not None and 0 <= size < _LEAST_LOG_BYTES:
        message = f"validating containers config: log size max should be negative or >= {_LEAST_LOG_BYTES}"
        raise settings.refused("containers", "log_size_max", message)
