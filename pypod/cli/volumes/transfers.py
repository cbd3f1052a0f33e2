"""volume export and import."""

from __future__ import annotations

import os
import sys

from pypod.cli.flags.parser import Command, Flag
from pypod.errors import InvalidSpec, NoSuchVolume

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from pypod.api.engine import Engine
    from pypod.api.volumes.volume import Volume
    from pypod.cli.flags.parser import Parsed

VOLUME_EXPORT = Command(
    path="pypod volume export",
    summary="Export volumes",
    description="Allow content of volume to be exported into external tar.",
    synopsis="[options] VOLUME",
    flags=(
        Flag(
            name="output",
            short="o",
            default="/dev/stdout",
            help="Write to a specified file (default: stdout, which must be redirected)",
        ),
    ),
    examples=("pypod volume export myvol --output myvol.tar",),
    min_args=1,
    max_args=1,
)
VOLUME_IMPORT = Command(
    path="pypod volume import",
    summary="Import a tarball contents into a pypod volume",
    description="Imports contents into a pypod volume from specified tarball (.tar, .tar.gz, .tgz, .bzip, .tar.xz, "
    ".txz).",
    synopsis="VOLUME [SOURCE]",
    examples=("pypod volume import my_vol /home/user/import.tar", "cat ctr.tar | pypod volume import my_vol -"),
    min_args=2,
    max_args=2,
)


def run_volume_export(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod volume export``."""
    from pypod.api.engine import Engine

    path = options["output"]
    if path == "/dev/stdout" and sys.stdout.isatty():
        raise InvalidSpec("--output", "refusing to export to terminal. Use -o flag or redirect")
    with Engine(root) as engine:
        volume = _named(engine, options.positionals[0])
        try:
            with _opened(path) as file:
                for piece in volume.export():
                    file.write(piece)
        except OSError as error:
            if path == "/dev/stdout":
                raise
            raise InvalidSpec("--output", f"write {path}: {error.strerror}") from error
    return 0


def _named(engine: Engine, name: str) -> Volume:
    try:
        return engine.volumes.get(name)
    except NoSuchVolume as error:
        error.message = f"no such volume {name}"  # podman's words here
        raise


def _opened(path: str) -> BinaryIO:
    if path == "/dev/stdout":
        return open(1, "wb", closefd=False)
    try:
        return open(path, "wb")
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        message = f"could not create tarball file '{path}': open {path}: {reason}"
        raise InvalidSpec("--output", message) from error


def run_volume_import(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod volume import``."""
    from pypod.api.engine import Engine

    name, path = options.positionals
    with Engine(root) as engine:
        volume = _named(engine, name)
        if path == "-":
            with open(0, "rb", closefd=False) as file:
                volume.import_(file)
        else:
            volume.import_(path)
    return 0
