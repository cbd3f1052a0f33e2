"""export and import: write a container's root file system as a tar archive, create an image from one."""

from __future__ import annotations

import os
import sys

from pypod.cli.containers.files.commit import CHANGE
from pypod.cli.flags.parser import Command, Flag
from pypod.cli.flags.registry import PLATFORM_FLAGS, POLICY_FLAG, require_policy
from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from pypod.cli.flags.parser import Parsed

_PIECE_BYTES = 1 << 20
EXPORT = Command(
    path="pypod export",
    summary="Export container's filesystem contents as a tar archive",
    description="Exports the filesystem of a container as a tar archive and saves it on the local machine. The "
    "contents of volumes and other mounts are not included.",
    synopsis="[options] CONTAINER",
    flags=(
        Flag(name="output", short="o", help="Write to a specified file (default: stdout, which must be redirected)"),
    ),
    examples=("pypod export ctrID > myCtr.tar", 'pypod export --output="myCtr.tar" ctrID'),
    min_args=1,
    max_args=1,
)
IMPORT = Command(
    path="pypod import",
    summary="Import a tarball to create a filesystem image",
    description="Create a container image from the contents of the specified tarball (.tar, .tar.gz, .tgz, .bzip, "
    ".tar.xz, .txz): a file, a URL or - for standard input.",
    synopsis="[options] PATH [REFERENCE]",
    flags=(
        CHANGE,
        Flag(name="message", short="m", help="Set commit message for imported image"),
        Flag(name="quiet", short="q", kind="bool", help="Suppress output"),
        *(flag for flag in PLATFORM_FLAGS if flag.name != "platform"),
        POLICY_FLAG,
    ),
    examples=(
        "pypod import http://example.com/ctr.tar url-image",
        "cat ctr.tar | pypod -q import --message 'importing the ctr.tar tarball' - image-imported",
        "pypod import --change 'CMD /bin/sh' --change LABEL=blue=image test-image.tar image-imported",
    ),
    min_args=1,
    max_args=2,
)


def run_export(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod export``."""
    from pypod.api.engine import Engine

    path = options["output"]
    if not path and sys.stdout.isatty():
        raise InvalidSpec("--output", "refusing to export to terminal. Use -o flag or redirect")
    with Engine(root) as engine:
        container = engine.containers.get(options.positionals[0])
        try:
            with _opened(path) as file:
                for piece in container.export():
                    file.write(piece)
        except OSError as error:
            if not path:
                raise
            raise InvalidSpec("--output", f"write {path}: {error.strerror}") from error
    return 0


def _opened(path: str) -> BinaryIO:
    if not path:
        return open(1, "wb", closefd=False)
    try:
        return open(path, "wb")
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise InvalidSpec("--output", f'creating file "{path}": open {path}: {reason}') from error


def run_import(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod import``."""
    from pypod.api.engine import Engine
    from pypod.cli.render.telling import Telling
    from pypod.model.images.platform import host
    from pypod.model.images.reference import is_address

    require_policy(options)
    path, name = (*options.positionals, "")[:2]
    here = host()
    wanted = here.replace(
        os=options["os"] or here.os,
        architecture=options["arch"] or here.architecture,
        variant=options["variant"] or here.variant,
    )
    with Engine(root) as engine, Telling(quiet=options["quiet"]) as telling:
        if is_address(path):
            print(f'Downloading from "{path}"', file=sys.stderr)
        image = engine.images.import_tree(
            path if is_address(path) else _pieces(path),
            name,
            message=options["message"],
            changes=options["change"],
            platform=wanted,
            progress=telling,
        )
    sys.stdout.write(f"sha256:{image.id}\n")
    return 0


def _pieces(path: str) -> Iterator[bytes]:
    try:
        file = open(0, "rb", closefd=False) if path == "-" else open(path, "rb")  # noqa: SIM115
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise InvalidSpec("PATH", f'error opening "{path}": open {path}: {reason}') from error
    with file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
