"""commit: create an image from a container."""

from __future__ import annotations

import sys

from pypod.cli.flags.parser import Command, Flag
from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.cli.flags.parser import Parsed

CHANGE = Flag(
    name="change",
    short="c",
    kind="stringArray",
    help="Apply an instruction to the created image: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, "
    "VOLUME, WORKDIR",
)
COMMIT = Command(
    path="pypod commit",
    summary="Create new image based on the changed container",
    description="Create an image from a container's changes. Optionally tag the image created, set the author with "
    "--author and the commit message with --message.",
    synopsis="[options] CONTAINER [IMAGE]",
    flags=(
        Flag(name="author", short="a", help="Set the author for the image committed"),
        CHANGE,
        Flag(name="config", help="Path of a JSON file of fields to put over the container's configuration"),
        Flag(name="format", short="f", default="oci", help="Format of the image manifest and metadata: oci or docker"),
        Flag(name="iidfile", help="Write the image ID to the file"),
        Flag(name="include-volumes", kind="bool", help="Include container volumes as image volumes"),
        Flag(name="message", short="m", help="Set commit message for imported image"),
        Flag(name="pause", short="p", kind="bool", help="Pause container during commit"),
        Flag(name="quiet", short="q", kind="bool", help="Suppress output"),
        Flag(name="squash", short="s", kind="bool", help="Squash newly built layers into a single new layer"),
    ),
    examples=(
        "pypod commit -q --message 'committing container to image' --format docker reverent_golick image-committed",
        "pypod commit --change CMD=/bin/bash --change 'LABEL blue=image' reverent_golick image-committed",
    ),
    min_args=1,
    max_args=2,
)


def _config(path: str) -> dict[str, Any]:
    if not path:
        return {}
    import json

    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InvalidSpec("--config", f"--config: open {path}: {reason}") from error
    except ValueError as error:
        raise InvalidSpec("--config", f"--config: {path}: it is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidSpec("--config", f"--config: {path}: it is not a JSON object")
    return found


def run_commit(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod commit``."""
    from pypod.api.engine import Engine
    from pypod.cli.render.telling import Telling

    ref, name = (*options.positionals, "")[:2]
    config = _config(options["config"])
    with Engine(root) as engine, Telling(quiet=options["quiet"]) as telling:
        image = engine.containers.get(ref).commit(
            name,
            author=options["author"],
            message=options["message"],
            changes=options["change"],
            config=config,
            include_volumes=options["include-volumes"],
            pause=options["pause"],
            squash=options["squash"],
            format=options["format"],
            progress=telling,
        )
    if options["iidfile"]:
        try:
            with open(options["iidfile"], "w", encoding="ascii") as file:
                file.write(image.id)
        except OSError as error:
            message = f"failed to write image ID: open {options['iidfile']}: {error.strerror}"
            raise InvalidSpec("--iidfile", message) from error
    sys.stdout.write(f"{image.id}\n")
    return 0
