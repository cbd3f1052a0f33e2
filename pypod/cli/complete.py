"""The hidden commands behind shell completion: ``__complete WORDS...`` prints what the last word may become.

``__completeNoDesc`` does so without descriptions.

The protocol is that of podman's completion scripts (cobra's): a line for each candidate, with a description after a
tab, then ``:`` and a sum of directives for the shell. What a word means comes from the tables of commands: positionals
from the synopsis, values of flags from the flag's kind and name.
"""

from __future__ import annotations

import sys

from pypod.cli.verbs import GROUPS, VERBS, load
from pypod.errors import PypodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pypod.api.engine import Engine
    from pypod.cli.flags.parser import Command, Flag
    from pypod.cli.verbs import Verb, Verbs

    Candidate = tuple[str, str]  # the word and its description
    Found = tuple[list[Candidate], int]

__all__ = ["complete"]

DEFAULT, NO_SPACE, NO_FILES = 0, 2, 4
_DIRECTIVES = {NO_SPACE: "ShellCompDirectiveNoSpace", NO_FILES: "ShellCompDirectiveNoFileComp"}
_SHORT = 12
_NAMESPACES = ("container:", "host", "ns:", "private")
_MODES = ("bridge", "container:", "host", "none", "ns:", "pasta", "private", "slirp4netns")
# Values of flags that are words of their own or names of objects.
_FLAG_VALUES: dict[str, tuple[str, ...]] = {
    "cgroupns": _NAMESPACES,
    "cgroups": ("disabled", "enabled", "no-conmon", "split"),
    "compression": ("gzip", "zstd"),
    "condition": ("configured", "created", "exited", "paused", "removing", "running", "stopped", "stopping", "unknown"),
    "ipc": (*_NAMESPACES, "shareable"),
    "log-driver": ("k8s-file", "none"),
    "network": _MODES,
    "os": ("linux",),
    "pid": _NAMESPACES,
    "pull": ("always", "missing", "never", "newer"),
    "restart": ("always", "no", "on-failure", "unless-stopped"),
    "systemd": ("always", "false", "true"),
    "userns": (*_NAMESPACES, "auto", "keep-id", "nomap"),
    "uts": _NAMESPACES,
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
        *("authfile", "cert-dir", "cidfile", "conmon-pidfile", "device", "digestfile", "env-file", "file", "hooks-dir"),
        *("iidfile", "infra-conmon-pidfile", "init-path", "input", "label-file", "mount", "output", "pidfile"),
        *("pod-id-file", "root", "runroot", "signature-policy", "tmpdir", "volume", "volumepath"),
    )
)
_PATHS = frozenset(("PATH", "FILE", "COMMAND", "ARG", "-", "SRC_PATH", "DEST_PATH"))
# Commands that act on objects in some states only, by the name of their Command.
_STATES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("attach", "exec", "kill", "pause", "stop", "top"), ("running",)),
    "start": ("created", "exited"),
    "unpause": ("paused",),
    **dict.fromkeys(("pod_kill", "pod_pause", "pod_stop", "pod_top"), ("Running", "Degraded")),
    "pod_unpause": ("Paused",),
}
_CONTAINER_FILTERS = (
    *("ancestor", "before", "exited", "health", "id", "label", "name", "network", "pod", "restart-policy", "since"),
    *("status", "until", "volume"),
)
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


def complete(words: Sequence[str], top: Command, root: str | None, *, described: bool) -> int:
    """Print the candidates for the last of ``words``; return the exit code."""
    found, directive = _candidates(list(words), top, root)
    lines = [
        f"{word}\t{description}" if described and description else word
        for word, description in dict.fromkeys(found)
        if word.isprintable()
    ]
    sys.stdout.write("\n".join([*lines, f":{directive}", ""]))
    names = ", ".join(name for bit, name in _DIRECTIVES.items() if directive & bit) or "ShellCompDirectiveDefault"
    sys.stderr.write(f"Completion ended with directive: {names}\n")
    return 0


def _candidates(words: list[str], top: Command, root: str | None) -> Found:
    current = words.pop() if words else ""
    before = _Walk(top, words)
    rest = before.positionals
    store = _Store(before.value("root") or root)
    if not rest or before.pending is not None:
        if before.pending is not None or current.startswith("-"):
            return _flags(top, before, current, store, "")
        return _starting(current, [(name, text) for name, text in _commands(VERBS)]), NO_FILES
    if rest[0] == "help":
        del rest[0]
        if not rest:
            return _starting(current, _commands(VERBS)), NO_FILES
    verbs = VERBS
    if rest[0] in GROUPS:
        verbs = GROUPS[rest.pop(0)][1]
        if not rest and not (current.startswith("-") and "" in verbs):
            listed = _starting(current, [(name, row[2]) for name, row in sorted(verbs.items()) if name])
            return (listed if "" not in verbs else [*listed, *_of_row(verbs[""], [], current, store)[0]]), NO_FILES
    row = verbs.get(rest[0]) if rest else None
    if row is not None:
        del rest[0]
    elif "" in verbs:
        row = verbs[""]
    return ([], DEFAULT) if row is None else _of_row(row, rest, current, store)


def _commands(verbs: Verbs) -> list[Candidate]:
    return sorted([*((name, row[2]) for name, row in verbs.items()), *((name, one[0]) for name, one in GROUPS.items())])


def _of_row(row: Verb, words: list[str], current: str, store: _Store) -> Found:
    command = load(row)[0]
    walk = _Walk(command, words)
    if walk.pending is not None or (current.startswith("-") and not walk.ended):
        return _flags(command, walk, current, store, row[1])
    if any(walk.has(name) for name in ("all", "latest")):
        return [], NO_FILES
    kinds = _kinds(command.synopsis, len(walk.positionals))
    if not kinds:
        return [], NO_FILES
    if not _PATHS.isdisjoint(kinds):
        return [], DEFAULT
    literal = _starting(current, [(kind, "") for kind in kinds if kind.islower()])
    found = [one for kind in kinds for one in store.names(kind, current, _STATES.get(row[1], ()))]
    return [*literal, *found], NO_FILES


class _Walk:
    """The flags and positionals among the words before the one to be completed. It never fails."""

    def __init__(self, command: Command, words: Sequence[str]) -> None:
        self.positionals: list[str] = []
        self.pending: Flag | None = None  # the last word is this flag, which needs a value
        self.ended = False  # no flag may follow
        self._given: dict[str, str] = {}
        known = _by_name(command)
        for at, word in enumerate(words):
            if self.pending is not None:
                self._given[self.pending.name] = word
                self.pending = None
            elif self.ended or not word.startswith("-") or word == "-":
                self.positionals.append(word)
                if not command.interspersed:
                    self.positionals += words[at + 1 :]
                    self.ended = True
                    break
            elif word == "--":
                self.ended = True
            else:
                self.pending = self._flag(known, word)

    def _flag(self, known: dict[str, Flag], word: str) -> Flag | None:
        """Remember a word of flags; return the flag whose value follows it."""
        name, equals, value = word.partition("=")
        letters = [name] if name.startswith("--") else [f"-{letter}" for letter in name[1:]]
        for letter in letters:
            flag = known.get(letter)
            if flag is None:
                return None
            self._given[flag.name] = value or flag.implied or "true"
            if flag.kind != "bool" and not flag.implied:
                return flag if not equals and letter == letters[-1] else None
        return None

    def has(self, name: str) -> bool:
        """Return whether a flag is given and not false."""
        return self._given.get(name, "false") != "false"

    def value(self, name: str) -> str:
        """Return the value of a flag, empty when it is not given."""
        return self._given.get(name, "")


def _by_name(command: Command) -> dict[str, Flag]:
    found = {}
    for flag in command.flags:
        found.update({f"--{name}": flag for name in (flag.name, *flag.aliases)})
        if flag.short:
            found[f"-{flag.short}"] = flag
    return found


def _flags(command: Command, walk: _Walk, current: str, store: _Store, verb: str) -> Found:
    """Return the flags that ``current`` may become, or the values of the flag that it follows."""
    if walk.pending is not None:
        return _values(walk.pending, current, store, verb)
    name, equals, value = current.partition("=")
    if equals:
        flag = _by_name(command).get(name)
        return ([], DEFAULT) if flag is None else _values(flag, value, store, verb)
    listed: list[Candidate] = []
    for flag in sorted(command.flags, key=lambda one: one.name):
        if flag.hidden:
            continue
        text = flag.help.replace("\n", " ")
        listed.append((f"--{flag.name}", text))
        if flag.short and not current.startswith("--"):
            listed.append((f"-{flag.short}", text))
    return _starting(current, listed), NO_FILES


def _values(flag: Flag, current: str, store: _Store, verb: str) -> Found:
    """Return the values that a flag may have."""
    if flag.name == "filter":
        return _spaceless(_starting(current, [(f"{one}=", "") for one in _FILTERS.get(verb, ())]))
    if flag.name in _SIGNAL_FLAGS:
        from pypod.kernel.abi import SIGNALS

        return _starting(current.upper().removeprefix("SIG"), [(one, "") for one in SIGNALS]), NO_FILES
    if flag.name == "format" and not flag.choices and flag.kind == "string":
        return _starting(current, [("json", "")]), NO_FILES
    words = flag.choices or _FLAG_VALUES.get(flag.name, ())
    kind = _FLAG_KINDS.get(flag.name, "")
    found = [*(store.names(kind, current) if kind else ()), *_starting(current, [(one, "") for one in words])]
    if flag.name in _PATH_FLAGS:
        return found, DEFAULT
    return _spaceless(found)


def _spaceless(found: list[Candidate]) -> Found:
    """Return candidates without a space after them if more has to follow some of them."""
    return found, NO_FILES | NO_SPACE if any(word.endswith((":", "=")) for word, _ in found) else NO_FILES


def _starting(current: str, candidates: Iterable[Candidate]) -> list[Candidate]:
    return [one for one in candidates if one[0].startswith(current)]


def _kinds(synopsis: str, position: int) -> tuple[str, ...]:
    """Return what a positional may be, from a synopsis: ``CONTAINER [IMAGE]`` at 1 gives ("IMAGE",).

    >>> _kinds("[options] {CONTAINER|IMAGE} [...]", 3)
    ('CONTAINER', 'IMAGE')
    """
    words = synopsis.replace("[options]", "").split()
    if not words:
        return ()
    repeats = words[-1].rstrip("]").endswith("...")
    if words[-1] == "[...]":
        del words[-1]
    if position >= len(words) and not repeats:
        return ()
    return tuple(words[min(position, len(words) - 1)].strip("[]{}.").replace("...", "").split("|"))


class _Store:
    """The names of objects in a storage; none when there is no storage, or when it cannot be read."""

    def __init__(self, root: str | None) -> None:
        self._root = root
        self._engine: Engine | None = None

    def names(self, kind: str, current: str, states: tuple[str, ...] = ()) -> list[Candidate]:
        """Return the objects of a kind whose name, or short id, begins with ``current``."""
        look = _LOOKS.get(kind)
        if look is None:
            return []
        try:
            return look(self._open(), current, states)
        except (PypodError, FileNotFoundError):
            return []

    def _open(self) -> Engine:
        if self._engine is None:
            from pypod.api.engine import Engine
            from pypod.api.session import has_storage

            if not has_storage(self._root):
                raise FileNotFoundError(self._root)
            self._engine = Engine(self._root)
        return self._engine


def _either(current: str, names: Iterable[tuple[str, str, str]]) -> list[Candidate]:
    """Return names, or short ids, that begin with ``current``, of (id, name, description)."""
    found = []
    for identifier, name, text in names:
        if name.startswith(current):
            found.append((name, text))
        elif len(current) > 1 and identifier.startswith(current):
            found.append((identifier[: max(_SHORT, len(current))], text or name))
    return found


def _containers(engine: Engine, current: str, states: tuple[str, ...]) -> list[Candidate]:
    pods = {pod.id: pod.name for pod in engine.pods.list()}
    summaries = [one for one in engine.containers.summaries() if not states or one.state.status in states]
    return _either(current, [(one.id, one.name, pods.get(one.pod_id, "")) for one in summaries])


def _pods(engine: Engine, current: str, states: tuple[str, ...]) -> list[Candidate]:
    found = [one for one in engine.pods.summaries() if not states or one.status in states]
    return _either(current, [(one.id, one.name, "") for one in found])


def _images(engine: Engine, current: str, _: tuple[str, ...]) -> list[Candidate]:
    found: list[Candidate] = []
    for one in engine.images.summaries():
        names = [name for full in one.names for name in _endings(full, current) if name.startswith(current)]
        found += [(name, "") for name in names]
        if not names and len(current) > 1 and one.id.startswith(current):
            found.append((one.id[: max(_SHORT, len(current))], ""))
    return found


def _endings(name: str, current: str) -> list[str]:
    """Return a name, and if the user has begun to write one, also what follows each of its slashes."""
    parts = name.split("/") if current else [name]
    return ["/".join(parts[at:]) for at in range(len(parts))]


def _lists(engine: Engine, current: str, states: tuple[str, ...]) -> list[Candidate]:
    lists = {name for one in engine.images.summaries() if one.is_list for name in one.names}
    return [one for one in _images(engine, current, states) if any(name.endswith(one[0]) for name in lists)]


def _networks(engine: Engine, current: str, _: tuple[str, ...]) -> list[Candidate]:
    return _either(current, [(one.id, one.name, one.driver) for one in engine.networks.specs()])


def _secrets(engine: Engine, current: str, _: tuple[str, ...]) -> list[Candidate]:
    return _either(current, [(one.id, one.name, "") for one in engine.secrets.list()])


def _volumes(engine: Engine, current: str, _: tuple[str, ...]) -> list[Candidate]:
    return _starting(current, [(one.name, "") for one in engine.volumes.records()])


def _descriptors(_engine: Engine, current: str, _: tuple[str, ...]) -> list[Candidate]:
    from pypod.cli.containers.top import DESCRIPTORS

    before, comma, begun = current.rpartition(",")
    return [(f"{before}{comma}{one}", "") for one in DESCRIPTORS if one.startswith(begun)]


_LOOKS: dict[str, Callable[[Engine, str, tuple[str, ...]], list[Candidate]]] = {
    "CONTAINER": _containers,
    "FORMAT-DESCRIPTORS": _descriptors,
    "IMAGE": _images,
    "LIST": _lists,
    "NETWORK": _networks,
    "POD": _pods,
    "SECRET": _secrets,
    "VOLUME": _volumes,
}
