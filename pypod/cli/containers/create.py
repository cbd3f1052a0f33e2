"""create: create a container or a pod."""

from __future__ import annotations

from pypod.cli.flags.container import FLAGS
from pypod.cli.flags.objects import EXPLAIN
from pypod.cli.flags.parser import Command, Parsed, UsageError
from pypod.cli.pods.create import POD_CREATE, POD_FLAGS, run_pod_create

_OWN = {flag.name for flag in (*FLAGS, EXPLAIN)}
CREATE = Command(
    path="pypod create",
    summary="Create a pod, or a container when an image or --rootfs is given",
    description="Without an image and --rootfs this is `pypod pod create`. The ID is printed to stdout.",
    synopsis="[options] [IMAGE [COMMAND [ARG...]]]",
    flags=(*FLAGS, EXPLAIN, *(flag for flag in POD_FLAGS if flag.name not in _OWN)),
    examples=("pypod create --name mipod", "pypod create --pod mipod --name box busybox sleep 60"),
    interspersed=False,
)


def run_create(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod create``."""
    from pypod.api.engine import Engine
    from pypod.cli.containers.run import create, explain

    if not options.positionals and not options["rootfs"] and options.command.path == "pypod create":
        return run_pod_create(_as_pod(options), root)
    only_pods = [flag.name for flag in POD_FLAGS if flag.name not in _OWN and options.changed(flag.name)]
    if only_pods:
        raise UsageError(options.command.path, f"--{only_pods[0]} is for pods: it goes without image and --rootfs")
    with Engine(root) as engine:
        if options["explain"]:
            explain(engine, options)  # reports errors in the options
            print(engine.containers.explain_creation())
            return 0
        container = create(engine, options)
        print(container.id)
    return 0


def _as_pod(options: Parsed) -> Parsed:
    """Return the command line as parsed by ``pod create``. Raises UsageError for flags that only containers have."""
    parsed = Parsed(POD_CREATE)
    parsed.line = options.line
    known = {flag.name: flag for flag in POD_CREATE.flags}
    for flag in options.command.flags:
        if not options.changed(flag.name):
            continue
        if flag.name not in known:
            raise UsageError(
                options.command.path, f"--{flag.name} is for containers: an image or --rootfs DIRECTORY is missing"
            )
        value = options[flag.name]
        for item in value if isinstance(value, list) else [value]:
            parsed.set(known[flag.name], str(item).lower() if isinstance(item, bool) else str(item))
    return parsed
