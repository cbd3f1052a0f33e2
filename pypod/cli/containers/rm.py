"""rm."""

from __future__ import annotations

from pypod.cli.containers.lifecycle import timeout_of
from pypod.cli.flags import selection
from pypod.cli.flags.objects import ALL, CIDFILE, FILTER, IGNORE, LATEST, TIME
from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.errors import InUse, NoSuchContainer, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pypod.api.container import Container
    from pypod.api.pod import Pod
    from pypod.cli.flags.parser import Parsed

RM = Command(
    path="pypod rm",
    summary="Remove one or more containers",
    synopsis="[options] CONTAINER [CONTAINER...]",
    flags=(
        ALL,
        CIDFILE,
        FILTER.replace(short=""),
        IGNORE,
        LATEST,
        TIME,
        Flag(name="force", short="f", kind="bool", help="Force removal of a running or unusable container"),
        Flag(name="depend", kind="bool", help="Remove container and all containers that depend on it"),
        Flag(name="storage", kind="bool", hidden=True, help="Remove container from storage library"),
        Flag(name="volumes", short="v", kind="bool", help="Remove anonymous volumes associated with the container"),
    ),
    examples=("pypod rm ctrID", "pypod rm --force --all"),
)


def run_rm(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod rm``."""
    from pypod.api.engine import Engine
    from pypod.cli.render.plain_text import warn

    force, depend = options["force"], options["depend"]
    if options.changed("time") and not force:
        raise UsageError("pypod rm", "--force option must be specified to use the --time option")
    gone: set[str] = set()

    def remove(one: Container) -> None:
        if one.id in gone:
            if force:
                return
            error = NoSuchContainer(one.id)
            error.message = f"container {one.id} does not exist in database: no such container"  # podman's words
            raise error
        pod = _pod_of_infra(one) if depend else None
        if pod is not None:
            pod.remove(force=force, timeout=timeout_of(options))
        else:
            _require_independent(one, force)
            one.remove(force=force, timeout=timeout_of(options), volumes=options["volumes"])
        gone.add(one.id)

    with Engine(root, warn=warn) as engine:
        found, problems = selection.containers(engine, options, id_flag="cidfile")
        names = selection.as_given(options, found)
        if options["all"]:
            found.reverse()  # a container is younger than those it joined
        if depend:
            found = list(dict.fromkeys(_with_dependents(found)))
            names = {one.id: one.id for one in found}
        if force:  # as in podman: a missing container needs no removal
            problems = [error for error in problems if not isinstance(error, NotFound)]
        return selection.each(found, problems, remove, lambda one: names[one.id], removal=True)


def _pod_of_infra(one: Container) -> Pod | None:
    """Return the pod whose infra this is, None for any other container."""
    pod = one.pod
    return pod if pod is not None and pod.infra == one else None


def _with_dependents(found: Iterable[Container]) -> Iterator[Container]:
    """Yield containers, each after those that depend on it: the members of a pod depend on its infra."""
    for one in found:
        yield from _with_dependents(one.dependents())
        pod = _pod_of_infra(one)
        yield from _with_dependents(pod.containers() if pod is not None else ())
        yield one


def _require_independent(one: Container, force: bool) -> None:
    others = one.dependents()
    if others and not force and one.state().running:
        return  # as in podman, it is refused for that
    if others and _pod_of_infra(one) is None:
        raise InUse(
            one.name,
            f"container {one.id} has dependent containers which must be removed before it: "
            f"{', '.join(other.id for other in others)}: container already exists",
        )
