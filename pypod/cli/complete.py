"""The hidden commands behind shell completion: ``__complete WORDS...`` prints what the last word may become.

``__completeNoDesc`` does so without descriptions.

The protocol is that of podman's completion scripts (cobra's): a line for each candidate, with a description after a
tab, then ``:`` and a sum of directives for the shell. What a word means comes from the tables of commands: positionals
from the synopsis, values of flags from the flag's kind and name.
"""

from __future__ import annotations

import sys

from pypod.cli.offered_names import Store, starting
from pypod.cli.offered_values import DEFAULT, NO_FILES, NO_SPACE, values
from pypod.cli.verbs import GROUPS, VERBS, commands_of, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.cli.flags.parser import Command, Flag
    from pypod.cli.offered_names import Candidate
    from pypod.cli.offered_values import Found
    from pypod.cli.verbs import Verb


__all__ = ["complete"]

_DIRECTIVES = {NO_SPACE: "ShellCompDirectiveNoSpace", NO_FILES: "ShellCompDirectiveNoFileComp"}
_PATHS = frozenset(("PATH", "FILE", "COMMAND", "ARG", "-", "SRC_PATH", "DEST_PATH"))
# Commands that act on objects in some states only, by the name of their Command.
_STATES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("attach", "exec", "kill", "pause", "stop", "top"), ("running",)),
    "init": ("created", "exited"),
    "start": ("created", "exited", "initialized"),
    "unpause": ("paused",),
    **dict.fromkeys(("pod_kill", "pod_pause", "pod_stop", "pod_top"), ("Running", "Degraded")),
    "pod_unpause": ("Paused",),
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
    store = Store(before.value("root") or root)
    if not rest or before.pending is not None:
        if before.pending is not None or current.startswith("-"):
            return _flags(top, before, current, store, "")
        return starting(current, commands_of()), NO_FILES
    if rest[0] == "help":
        del rest[0]
        if not rest:
            return starting(current, commands_of()), NO_FILES
    verbs = VERBS
    if rest[0] in GROUPS:
        group = rest.pop(0)
        verbs = GROUPS[group][1]
        if not rest and not (current.startswith("-") and "" in verbs):
            listed = starting(current, commands_of(group))
            return (listed if "" not in verbs else [*listed, *_of_row(verbs[""], [], current, store)[0]]), NO_FILES
    row = verbs.get(rest[0]) if rest else None
    pair = " ".join(rest[:2])
    if len(rest) > 1 and pair in verbs:
        row = verbs[pair]
        del rest[:2]
    elif row is not None:
        del rest[0]
    elif "" in verbs:
        row = verbs[""]
    return ([], DEFAULT) if row is None else _of_row(row, rest, current, store)


def _of_row(row: Verb, words: list[str], current: str, store: Store) -> Found:
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
    literal = starting(current, [(kind, "") for kind in kinds if kind.islower()])
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


def _flags(command: Command, walk: _Walk, current: str, store: Store, verb: str) -> Found:
    """Return the flags that ``current`` may become, or the values of the flag that it follows."""
    if walk.pending is not None:
        return values(walk.pending, current, store, verb)
    name, equals, value = current.partition("=")
    if equals:
        flag = _by_name(command).get(name)
        return ([], DEFAULT) if flag is None else values(flag, value, store, verb)
    listed: list[Candidate] = []
    for flag in sorted(command.flags, key=lambda one: one.name):
        if flag.hidden:
            continue
        text = flag.help.replace("\n", " ")
        listed.append((f"--{flag.name}", text))
        if flag.short and not current.startswith("--"):
            listed.append((f"-{flag.short}", text))
    return starting(current, listed), NO_FILES


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
