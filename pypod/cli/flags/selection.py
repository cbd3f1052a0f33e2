"""The objects of a command: select them by name, --all, --latest or id file, and report on each of them."""

from __future__ import annotations

from pypod.cli.flags.parser import UsageError
from pypod.errors import InvalidSpec, NoSuchContainer, NoSuchPod, NotFound, PypodError, WrongState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from pypod.api.container import Container
    from pypod.api.engine import Engine
    from pypod.api.pod import Pod
    from pypod.cli.flags.parser import Parsed

    T = TypeVar("T")

FAILED = 125
MISSING, BUSY = 1, 2


def containers(
    engine: Engine,
    options: Parsed,
    *,
    id_flag: str = "",
    filter_names: bool = False,
    get: Callable[[str], Container] | None = None,
) -> tuple[list[Container], list[PypodError]]:
    """Return the containers that a command line selects, and the errors for names that match none.

    --filter excludes names, but with ``filter_names`` it filters the named containers. ``get`` looks up a name.
    """
    names = _names(options, id_flag, filter_names=filter_names)
    if _flag(options, "filter"):
        found = _filtered(engine, options["filter"])
        named = _find(names, engine.containers.get, options)[0]
        return [one for one in found if not names or one in named], []
    if _flag(options, "all"):
        return list(engine.containers.list(all=True)), []
    if _flag(options, "latest"):
        return _find(["--latest"], lambda _: latest(engine), options)
    return _find(names, get or engine.containers.get, options)


def latest(engine: Engine) -> Container:
    """Return the container that --latest selects. Raises NoSuchContainer."""
    found = engine.containers.list(all=True)
    if not found:
        raise _none(NoSuchContainer("--latest"))
    return found[-1]


def latest_pod(engine: Engine) -> Pod:
    """Return the pod that --latest selects. Raises NoSuchPod."""
    found = engine.pods.list()
    if not found:
        raise _none(NoSuchPod("--latest"))
    return found[-1]


def _none(error: NotFound) -> NotFound:
    error.message = f"no such {error.kind}"
    return error


def as_given(options: Parsed, found: Sequence[Container]) -> dict[str, str]:
    """Map ids to the words that the user wrote, names or id prefixes: podman prints these."""
    names = {one.name for one in found}
    prefixes = [word for word in options.positionals if word not in names]
    return {
        one.id: one.name
        if one.name in options.positionals
        else next((word for word in prefixes if one.id.startswith(word)), one.id)
        for one in found
    }


def _filtered(engine: Engine, entries: Sequence[str]) -> list[Container]:
    from pypod.cli.flags.container_filters import compile_container_filters, read_filters

    test = compile_container_filters(read_filters(entries), engine)
    wanted = {one.id for one in engine.containers.summaries() if test(one)}
    return [one for one in engine.containers.list(all=True) if one.id in wanted]


def pods(engine: Engine, options: Parsed, *, id_flag: str = "") -> tuple[list[Pod], list[PypodError]]:
    """Return the pods that a command line selects, and the errors for names that match none."""
    names = _names(options, id_flag)
    if _flag(options, "all"):
        return list(engine.pods.list()), []
    if _flag(options, "latest"):
        return _find(["--latest"], lambda _: latest_pod(engine), options)
    return _find(names, engine.pods.get, options)


def _flag(options: Parsed, name: str) -> bool:
    return any(flag.name == name for flag in options.command.flags) and bool(options[name])


def _names(options: Parsed, id_flag: str, *, filter_names: bool = False) -> list[str]:
    names = list(options.positionals)
    if "" in names:
        raise InvalidSpec("NAME", "name or ID cannot be empty: invalid argument")
    everything, last = _flag(options, "all"), _flag(options, "latest")
    from_files = bool(id_flag and options[id_flag])
    if from_files and (everything or last):
        raise UsageError("", f"--all, --latest, and --{id_flag} cannot be used together")
    if everything and last:
        raise UsageError("", "--all and --latest cannot be used together")
    if from_files:
        from pypod.cli.flags import text_files

        if names:
            raise UsageError("", f"no arguments are needed with --latest or --{id_flag}")
        names += [text_files.read_id_file(path, f"--{id_flag}") for path in options[id_flag]]
    chosen = any(_flag(options, flag) for flag in ("all", "latest", "filter"))
    if names and _flag(options, "filter"):
        if not filter_names:
            raise UsageError("", "--filter takes no arguments")
    elif names and chosen:
        latest = not _flag(options, "all")
        words = "--latest and containers cannot be used together" if latest else "no arguments are needed with --all"
        raise UsageError("", words)
    if not names and not chosen and not (_flag(options, "ignore") and id_flag):
        raise UsageError("", "you must provide at least one name or id")
    return names


def _find(names: Sequence[str], get: Callable[[str], T], options: Parsed) -> tuple[list[T], list[PypodError]]:
    found: list[T] = []
    problems: list[PypodError] = []
    for name in names:
        try:
            found.append(get(name))
        except NotFound as error:
            if not _flag(options, "ignore"):
                problems.append(error)
        except PypodError as error:
            problems.append(error)
    return found, problems


def report(error: PypodError) -> int:
    """Write an error to stderr; return the exit code of a command that fails whatever the error is."""
    from pypod.cli.render.plain_text import tell_error

    tell_error(error)
    return FAILED


def each(
    found: Sequence[T],
    problems: Sequence[PypodError],
    action: Callable[[T], object],
    show: Callable[[T], str | None],
    *,
    removal: bool = False,
) -> int:
    """Apply ``action`` to each object, print ``show`` for each success, report errors; return the exit code.

    ``show`` returns None for an object that was left alone.
    With ``removal`` the code is podman's for rm: 1 when the only failures are unknown names, 2 when an object is
    running.
    """
    failures = list(problems)
    if failures and not removal:  # as in podman: nothing is done when a name is unknown
        found = ()
    for one in found:
        try:
            action(one)
            shown = show(one)
            if shown is not None:
                print(shown, flush=True)
        except PypodError as error:
            failures.append(error)
    for failure in failures:
        report(failure)
    if not failures:
        return 0
    if removal and all(isinstance(failure, NotFound) for failure in failures):
        return MISSING
    if removal and any(isinstance(failure, WrongState) for failure in failures):
        return BUSY
    return FAILED
