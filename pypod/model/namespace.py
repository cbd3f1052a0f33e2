"""The modes of a container's namespaces."""

from __future__ import annotations

from pypod.errors import InvalidSpec
from pypod.model.value import Value

# The flag of each kind, and the modes that podman documents for it; those of net are in model/network_flags.py.
FLAGS = {
    "net": "--network",
    "pid": "--pid",
    "ipc": "--ipc",
    "uts": "--uts",
    "cgroup": "--cgroupns",
    "user": "--userns",
}
_MODES = {
    "pid": ("private", "host", "container", "ns", "pod"),
    "ipc": ("private", "host", "container", "ns", "pod", "none", "shareable"),
    "uts": ("private", "host", "container", "ns", "pod"),
    "cgroup": ("private", "host", "container", "ns", "pod"),
    "user": ("host", "pod", "private", "container", "ns"),
}
# Modes that create a user namespace, differing in its ids.
OWN_IDS = ("private", "keep-id", "nomap", "auto")
SHAREABLE = ("ipc", "net", "uts", "pid", "user", "cgroup")
JOINABLE = ("net", "pid", "ipc", "uts", "cgroup", "user")
DEFAULT_SHARE = ("ipc", "net", "uts")


class Mode(Value):
    """One of ``private``, ``host``, ``pod`` (the infra's), ``container`` (of ``target``), ``ns`` (at ``target``)."""

    mode: str
    target: str = ""

    def __str__(self) -> str:
        return f"{self.mode}:{self.target}" if self.target else self.mode


PRIVATE = Mode(mode="private")
HOST = Mode(mode="host")
POD = Mode(mode="pod")


def parse_mode(kind: str, text: str) -> Mode:
    """Parse ``host``, ``container:NAME`` or ``ns:PATH``; raise InvalidSpec naming the flag of ``kind``."""
    mode, colon, target = text.partition(":")
    needs_target = mode in ("container", "ns")
    if needs_target and colon and not target:
        name = "path" if mode == "ns" else mode
        raise InvalidSpec(FLAGS[kind], f"namespace mode {name} requires a value: container:NAME or ns:PATH")
    if mode not in _MODES[kind] or needs_target != bool(target) or (colon and not needs_target):
        raise InvalidSpec(FLAGS[kind], f"unrecognized namespace mode {text} passed")
    if mode in ("none", "shareable"):
        return PRIVATE
    return Mode(mode=mode, target=target)


def not_shared(kind: str, *, has_infra: bool) -> InvalidSpec:
    """Return the error for the mode ``pod`` of a namespace that no pod shares with the container."""
    if not has_infra:
        message = "cannot use pod namespace as container is not joining a pod or pod has no infra container"
        return InvalidSpec(FLAGS[kind], f"{message}: invalid argument")
    return InvalidSpec(FLAGS[kind], f"the pod does not share its {kind} namespace", hint="add it to its --share")


def parse_share(text: str) -> tuple[str, ...]:
    """Parse podman's --share: a comma-separated list of kinds, ``+kind`` to add to the default, or ``none``."""
    if text in ("", "none"):
        return ()
    words = [word.strip() for word in text.split(",") if word.strip()]
    added = all(word.startswith("+") for word in words)
    chosen = [*(DEFAULT_SHARE if added else ()), *(word.removeprefix("+") for word in words)]
    for word in chosen:
        if word not in SHAREABLE:
            options = "cgroup, ipc, net, pid, uts or none"  # podman's words, which leave out user
            raise InvalidSpec("--share", f"invalid kernel namespace to share: {word}. Options are: {options}")
    return tuple(kind for kind in SHAREABLE if kind in chosen)
