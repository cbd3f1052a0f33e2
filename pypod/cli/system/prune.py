"""system prune and system reset: remove what is not used, or everything."""

from __future__ import annotations

import sys

from pypod.cli.flags.parser import Command, Flag
from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pypod.api.engine import Engine
    from pypod.cli.flags.parser import Parsed
    from pypod.model.reports.disk_usage import DiskUsage

    Test = Callable[[Mapping[str, str], int], bool]

SYSTEM_PRUNE = Command(
    path="pypod system prune",
    summary="Remove unused data",
    description="Removes stopped pods and containers, unused networks and dangling images; with --volumes also unused\n"
    "  volumes, with --all all images without containers.",
    synopsis="[options]",
    flags=(
        Flag(name="all", short="a", kind="bool", help="Remove all unused data"),
        Flag(name="build", kind="bool", help="Accepted for compatibility with podman; has no effect"),
        Flag(name="external", kind="bool", help="Remove only what a crash left behind"),
        Flag(name="filter", kind="stringArray", help="Provide filter values (e.g. 'label=<key>=<value>')"),
        Flag(name="force", short="f", kind="bool", help="Do not prompt for confirmation.  The default is false"),
        Flag(name="volumes", kind="bool", help="Prune volumes"),
    ),
    examples=("pypod system prune", "pypod system prune --all --volumes --force"),
    max_args=0,
)
SYSTEM_RESET = Command(
    path="pypod system reset",
    summary="Reset pypod storage",
    description="Reset pypod storage back to default state.\n\n"
    "  All containers will be stopped and removed, and all images, volumes, networks and container content will be "
    "removed.",
    synopsis="[options]",
    flags=(Flag(name="force", short="f", kind="bool", help="Do not prompt for confirmation"),),
    examples=("pypod system reset", "pypod system reset --force"),
    max_args=0,
)


def run_system_prune(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod system prune``."""
    from pypod.api.engine import Engine
    from pypod.cli.flags.filters import compile_prune_filters
    from pypod.cli.render.asking import agreed
    from pypod.cli.render.output import human_size

    if options["external"]:
        return _prune_leftovers(options, root)
    if not options["force"] and not agreed(_warning(everything=options["all"], volumes=options["volumes"])):
        return 0
    test = compile_prune_filters(options["filter"])
    with Engine(root) as engine:
        before = engine.disk_usage(volumes=options["volumes"])
        removed = _removed(engine, test, everything=options["all"], volumes=options["volumes"])
        freed = _freed(before, removed) + before.image_bytes - engine.disk_usage(volumes=False).image_bytes
    for title, found in removed.items():
        if found:
            sys.stdout.write("\n".join((f"Deleted {title}", *found, "")))
    sys.stdout.write(f"Total reclaimed space: {human_size(max(freed, 0))}\n")
    return 0


def _prune_leftovers(options: Parsed, root: str | None) -> int:
    """Remove what belongs to nothing in the storage, and nothing else: without asking, as podman 5 does."""
    from pypod import check

    if options["all"] or options["volumes"] or options["filter"]:
        raise InvalidSpec("--external", "system prune --external cannot be combined with other options")
    check(root, repair=True)
    return 0


def _warning(*, everything: bool, volumes: bool) -> str:
    lines = ["all stopped containers", "all networks not used by at least one container"]
    if volumes:
        lines.append("all volumes not used by at least one container")
    if everything:
        lines += ["all images without at least one container associated with them", "all build cache"]
    else:
        lines += ["all dangling images", "all dangling build cache"]
    return "WARNING! This command removes:\n" + "".join([f"\t- {line}\n" for line in lines])


def _removed(engine: Engine, test: Test, *, everything: bool, volumes: bool) -> dict[str, list[str]]:
    """Remove what is not used, and return it by kind, in podman's order of titles."""
    pods = engine.pods.prune(lambda one: test(dict(one.spec.labels), one.created_ns))
    containers = engine.containers.prune(lambda one: test(one.labels, one.created_ns))
    unused: Iterable[str] = ()
    if volumes:
        unused = engine.volumes.prune(lambda one: test(one.label_map(), one.created_ns))
    images = engine.images.prune(all=everything, only=lambda one: test(one.labels, one.created_ns))
    networks = engine.networks.prune(lambda one: test(dict(one.labels), one.created_ns))
    return {
        "Containers": list(containers),
        "Pods": list(pods),
        "Volumes": list(unused),
        "Images": list(images),
        "Networks": list(networks),
    }


def _freed(before: DiskUsage, removed: dict[str, list[str]]) -> int:
    """Return the size of the containers and volumes that were removed."""
    containers = sum(one.size_bytes for one in before.containers if one.id in removed["Containers"])
    return containers + sum(one.size_bytes for one in before.volumes if one.name in removed["Volumes"])


def run_system_reset(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod system reset``."""
    from pypod.api.engine import Engine
    from pypod.cli.render.asking import agreed

    with Engine(root) as engine:
        directory = engine.layout.root
        kinds = ("containers", "pods", "images", "networks", "build cache", "volumes")
        lines = [*(f"all {kind}" for kind in kinds), f'the graphRoot directory: "{directory}"']
        warning = "WARNING! This will remove:\n" + "\n".join([f"        - {line}" for line in lines])
        if options["force"] or agreed(warning, exit_code=1):  # podman's
            engine.reset()
    return 0
