"""mount and unmount: the root file systems of containers on the host."""

from __future__ import annotations

import os
import sys

from pypod.cli.flags import selection
from pypod.cli.flags.objects import LATEST
from pypod.cli.flags.parser import Command, Flag
from pypod.errors import InvalidSpec, PermissionDenied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.api.container import Container
    from pypod.api.engine import Engine
    from pypod.cli.flags.parser import Parsed

MOUNT = Command(
    path="pypod mount",
    summary="Mount a working container's root filesystem",
    description=(
        "Mounts the root file systems of containers, running or not, and prints the mount points.\n"
        "  Without a container, lists all mounted containers. Volumes and other mounts are not part of it."
    ),
    synopsis="[options] [CONTAINER...]",
    flags=(
        Flag(name="all", short="a", kind="bool", help="Mount all containers"),
        Flag(name="format", help="Print the mounted containers in specified format (json)"),
        LATEST,
        Flag(name="no-trunc", aliases=("notruncate",), kind="bool", help="Do not truncate output"),
    ),
    examples=("pypod mount ctrID", "pypod mount", "pypod mount --all"),
)
UNMOUNT = Command(
    path="pypod unmount",
    summary="Unmount a working container's root filesystem",
    description="Unmounts the root file systems of containers from the host. Running containers keep running.",
    synopsis="[options] CONTAINER [CONTAINER...]",
    flags=(
        Flag(name="all", short="a", kind="bool", help="Unmount all of the currently mounted containers"),
        Flag(name="force", short="f", kind="bool", help="Accepted for compatibility with podman; has no effect"),
        LATEST,
    ),
    aliases=("umount",),
    examples=("pypod unmount ctrID", "pypod unmount ctrID1 ctrID2", "pypod unmount --all"),
)


def run_mount(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod mount``."""
    from pypod.api.engine import Engine

    _require_session("mount")
    with Engine(root) as engine:
        if options.positionals or options["all"] or options["latest"]:
            found, problems = selection.containers(engine, options)
            paths: dict[str, str] = {}
            return selection.each(
                found, problems, lambda one: paths.update({one.id: one.mount()}), lambda one: paths[one.id]
            )
        form = options["format"]
        if form not in ("", "json"):
            raise InvalidSpec("--format", f'unknown --format argument: "{form}"')
        _list(_mounted(engine), is_json=form == "json", whole=options["no-trunc"])
    return 0


def _require_session(verb: str) -> None:
    if os.geteuid() != 0:
        message = f'cannot run command "pypod {verb}" in rootless mode, must execute `pypod unshare` first'
        raise PermissionDenied(verb, message)


def _mounted(engine: Engine) -> dict[Container, str]:
    return {one: path for one in engine.containers.list(all=True) if (path := one.mount_point)}


def _list(mounted: dict[Container, str], *, is_json: bool, whole: bool) -> None:
    if is_json:
        from pypod.cli.go.json import encode
        from pypod.cli.go.values import Struct

        listed = [Struct(id=one.id, Names=[one.name], mountpoint=path) for one, path in mounted.items()]
        sys.stdout.write(encode(listed, indent=" ") + "\n")
        return
    from pypod.cli.render.output import align
    from pypod.model.ids import short

    lines = [f"{one.id if whole else short(one.id)}\t{path}\n" for one, path in mounted.items()]
    sys.stdout.write(align("".join(lines)))


def run_unmount(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod unmount``."""
    from pypod.api.engine import Engine

    _require_session("unmount")
    with Engine(root) as engine:
        found, problems = selection.containers(engine, options)
        if options["all"]:
            found = [one for one in found if one.mount_point]
        names = selection.as_given(options, found)
        return selection.each(found, problems, lambda one: one.unmount(), lambda one: names[one.id])
