"""The values of flags that shell completion offers."""

from __future__ import annotations

from pypod.cli.offered_names import starting
from pypod.model.reports.log import DRIVERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Flag
    from pypod.cli.offered_names import Candidate, Store

    Found = tuple[list[Candidate], int]

__all__ = ["DEFAULT", "NO_FILES", "NO_SPACE", "values"]

# what the shell does after the candidates, added up (cobra's ShellCompDirective)
DEFAULT, NO_SPACE, NO_FILES = 0, 2, 4
_NAMESPACES = ("container:", "host", "ns:", "private")
_MODES = ("bridge", "container:", "host", "none", "ns:", "pasta", "private", "slirp4netns")
# Values of flags that are words of their own or names of objects.
_FLAG_VALUES: dict[str, tuple[str, ...]] = {
    "cgroup-manager": ("cgroupfs", "systemd"),
    "cgroupns": _NAMESPACES,
    "cgroups": ("disabled", "enabled", "no-conmon", "split"),
    "compression": ("gzip", "zstd"),
    "condition": ("created", "exited", "paused", "removing", "running", "stopped", "stopping", "unknown"),
    "ipc": (*_NAMESPACES, "shareable"),
    "events-backend": ("file", "none"),
    "log-level": ("trace", "debug", "info", "warn", "warning", "error", "fatal", "panic"),
    "log-driver": DRIVERS,
    "network": _MODES,
    "os": ("linux",),
    "pid": _NAMESPACES,
    "pull": ("always", "missing", "never", "newer"),
    "restart": ("always", "no", "on-failure", "unless-stopped"),
    "systemd": ("always", "false", "true"),
    "userns": (*_NAMESPACES, "auto", "keep-id", "nomap"),
    "uts": _NAMESPACES,
}
# Those of single commands, by the name of the Command.
_VERB_VALUES: dict[tuple[str, str], tuple[str, ...]] = {
    ("images", "sort"): ("created", "id", "repository", "size", "tag"),
    ("inspect", "type"): ("all", "container", "image", "network", "pod", "volume"),
    ("manifest_push", "format"): ("oci", "v2s2"),
    ("network_create", "driver"): ("bridge", "ipvlan", "macvlan"),
    ("pod_create", "share"): ("cgroup", "ipc", "net", "none", "pid", "user", "uts"),
    ("pod_ps", "sort"): ("created", "id", "name", "number", "status"),
    ("push", "format"): ("oci", "v2s2"),
    ("save", "format"): ("docker-archive", "docker-dir", "oci-archive", "oci-dir"),
    ("trust_set", "type"): ("accept", "reject", "signedBy"),
}
_FLAG_KINDS = {
    "container": "CONTAINER",
    "network": "NETWORK",
    "pod": "POD",
    "requires": "CONTAINER",
    "secret": "SECRET",
    "volume": "VOLUME",
    "volumes-from": "CONTAINER",
}
_SIGNAL_FLAGS = ("signal", "stop-signal")
# Flags whose value is a path on the host.
_PATH_FLAGS = frozenset(
    (
        *("authfile", "cert-dir", "cidfile", "compat-auth-file", "conmon-pidfile", "device", "digestfile", "env-file"),
        *("file", "hooks-dir"),
        *("iidfile", "infra-conmon-pidfile", "init-path", "input", "label-file", "mount", "output", "pidfile"),
        *("pod-id-file", "root", "runroot", "signature-policy", "tmpdir", "volume", "volumepath"),
    )
)
_CONTAINER_FILTERS = (
    *("ancestor", "before", "exited", "health", "id", "label", "name", "network", "pod", "restart-policy", "since"),
    *("status", "until", "volume"),
)
_CONTAINER_STATES = ("created", "exited", "paused", "running", "stopped", "unknown")
_POD_STATES = ("created", "running", "paused", "stopped", "exited", "dead", "degraded")
_FILTERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("ps", "rm", "start", "stop", "pause", "unpause", "restart", "kill"), _CONTAINER_FILTERS),
    "events": ("container", "event", "image", "label", "pod", "type", "volume"),
    "image_prune": ("label", "until"),
    "images": ("before", "containers", "dangling", "id", "label", "readonly", "reference", "since", "until"),
    "network_ls": ("dangling", "driver", "id", "label", "name", "until"),
    "network_prune": ("label", "until"),
    "pod_ps": ("ctr-ids", "ctr-names", "ctr-number", "ctr-status", "id", "label", "name", "network", "status", "until"),
    "search": ("is-automated", "is-official", "stars"),
    "system_prune": ("label", "until"),
    "volume_ls": ("dangling", "driver", "label", "name", "opt", "scope", "until"),
    "volume_prune": ("label", "until"),
}


def values(flag: Flag, current: str, store: Store, verb: str) -> Found:
    """Return the values that a flag may have."""
    if flag.name == "filter":
        if current.startswith("status=") and "status" in _FILTERS.get(verb, ()):
            states = _POD_STATES if verb == "pod_ps" else _CONTAINER_STATES
            return starting(current, [(f"status={one}", "") for one in states]), NO_FILES
        return _spaceless(starting(current, [(f"{one}=", "") for one in _FILTERS.get(verb, ())]))
    if flag.name in _SIGNAL_FLAGS:
        from pypod.kernel.abi import SIGNALS

        before = "SIG" if current[:3].upper() == "SIG" else ""
        return starting(current.upper(), [(f"{before}{one}", "") for one in SIGNALS]), NO_FILES
    own = _VERB_VALUES.get((verb, flag.name))
    if flag.name == "format" and not own and not flag.choices and flag.kind == "string":
        return _formats(current, verb)
    words = own or flag.choices or _FLAG_VALUES.get(flag.name, ())
    kind = _FLAG_KINDS.get(flag.name, "")
    found = [*(store.names(kind, current) if kind else ()), *starting(current, [(one, "") for one in words])]
    if flag.name in _PATH_FLAGS:
        return found, DEFAULT
    return _spaceless(found)


# The tables of listings, whose keys --format names: (module, table), by the name of the Command.
_FIELDS = {
    "images": ("pypod.cli.images.row", "FIELDS"),
    "pod_ps": ("pypod.cli.pods.ps", "FIELDS"),
    "pod_stats": ("pypod.cli.containers.stats", "POD_FIELDS"),
    "ps": ("pypod.cli.containers.ps_row", "FIELDS"),
    "stats": ("pypod.cli.containers.stats", "FIELDS"),
}


def _formats(current: str, verb: str) -> Found:
    """Return ``json``, or after ``{{.`` the fields of the listing's rows."""
    before, opened, begun = current.rpartition("{{.")
    if not opened:
        return starting(current, [("json", "")]), NO_FILES
    if verb not in _FIELDS:
        return [], NO_FILES
    module, table = _FIELDS[verb]
    names = getattr(__import__(module, fromlist=[table]), table)
    found = [(f"{before}{opened}{name}}}}}", "") for name in sorted(names) if name.startswith(begun)]
    return found, NO_FILES | NO_SPACE


def _spaceless(found: list[Candidate]) -> Found:
    """Return candidates without a space after them if more has to follow some of them."""
    return found, NO_FILES | NO_SPACE if any(word.endswith((":", "=")) for word, _ in found) else NO_FILES
