"""load and save: read images from archives and directories, and write them."""

from __future__ import annotations

import os

from pypod.cli.flags.parser import Command, Flag
from pypod.cli.flags.registry import POLICY_FLAG, require_policy
from pypod.cli.render.telling import Telling
from pypod.errors import InvalidSpec, SystemFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed

LOAD = Command(
    path="pypod load",
    summary="Load image(s) from a tar archive",
    description="Loads an image from a locally stored archive (tar file) into container storage.",
    synopsis="[options]",
    flags=(
        Flag(name="input", short="i", help="Read from specified archive file, directory or URL (default: stdin)"),
        Flag(name="quiet", short="q", kind="bool", help="Suppress the output"),
        POLICY_FLAG,
    ),
    examples=("pypod load -i fedora.tar", "pypod load < fedora.tar", "pypod load -i https://example.com/fedora.tar"),
    max_args=0,
)
SAVE = Command(
    path="pypod save",
    summary="Save image(s) to an archive",
    description="Save an image to docker-archive or oci-archive on the local machine. Default is docker-archive.",
    synopsis="[options] IMAGE [IMAGE...]",
    flags=(
        Flag(
            name="compress",
            kind="bool",
            help="Compress tarball image layers when saving to a directory using the 'dir' transport",
        ),
        Flag(
            name="format",
            default="docker-archive",
            help="Save image to oci-archive, oci-dir (directory with oci manifest type), docker-archive, docker-dir "
            "(directory with v2s2 manifest type)",
        ),
        Flag(
            name="multi-image-archive",
            short="m",
            kind="bool",
            help="Interpret additional arguments as images not tags and create a multi-image-archive (only for "
            "docker-archive)",
        ),
        Flag(name="output", short="o", help="Write to a specified file (default: stdout, which must be redirected)"),
        Flag(name="quiet", short="q", kind="bool", help="Suppress the output"),
        POLICY_FLAG,
        Flag(name="uncompressed", kind="bool", help="Accept uncompressed layers when copying OCI images"),
    ),
    examples=(
        "pypod save --quiet -o myimage.tar imageID",
        "pypod save --format docker-dir -o ubuntu-dir ubuntu",
        "pypod save > alpine-all.tar alpine:latest",
    ),
)
_STDIN, _STDOUT = 0, 1


def run_load(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod load``."""
    from pypod.api.engine import Engine
    from pypod.model.images.reference import is_address

    path, fd = options["input"], -1
    if not path:
        if os.isatty(_STDIN):
            raise InvalidSpec("--input", "cannot read from terminal, use command-line redirection or the --input flag")
        path, fd = "/dev/stdin", _STDIN
    elif not is_address(path) and not os.path.exists(path):
        raise InvalidSpec("--input", f"stat {path}: no such file or directory")
    with Engine(root) as engine, Telling(quiet=options["quiet"]) as telling:
        loaded = engine.images.load(path, fd=fd, progress=telling, signature_policy=options["signature-policy"])
        names = [name for image in loaded for name in image.loaded_names or (f"sha256:{image.id}",)]
    for name in names:
        print(f"Loaded image: {name}")
    return 0


def run_save(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod save``."""
    from pypod.api.engine import Engine

    words, form, path = options.positionals, options["format"], options["output"]
    if not words:
        raise InvalidSpec("IMAGE", "need at least 1 argument")
    require_policy(options)
    if options["compress"] and form != "docker-dir":
        raise InvalidSpec("--compress", "--compress can only be set when --format is 'docker-dir'")
    fd = -1
    if not path:
        if os.isatty(_STDOUT):
            raise InvalidSpec("--output", "refusing to save to terminal. Use -o flag or redirect")
        if form.endswith("-dir"):
            raise InvalidSpec("--output", f"{form} needs a directory: use -o")
        path, fd = "/dev/stdout", _STDOUT
    elif ":" in path:
        raise InvalidSpec("--output", f"invalid filename (should not contain ':') \"{path}\"")
    images, tags = (words, ()) if _several(options) else (words[:1], words[1:])
    # as in podman: no progress output when the archive goes to stdout
    with Engine(root) as engine, Telling(quiet=options["quiet"] or fd == _STDOUT, signed=False) as telling:
        try:
            engine.images.save(
                images,
                path,
                format=form,
                fd=fd,
                tags=tags,
                compress=options["compress"],
                uncompressed=options["uncompressed"],
                progress=telling,
            )
        except SystemFailure as error:
            if fd == _STDOUT and isinstance(error.__cause__, BrokenPipeError):
                raise error.__cause__ from None  # the reader has closed the pipe
            raise
    return 0


def _several(options: Parsed) -> bool:
    """Return whether further arguments are images, not tags: as the command line says, or the configuration."""
    if len(options.positionals) < 2 or options.changed("multi-image-archive"):
        return bool(options["multi-image-archive"])
    from pypod.api.configuration import setting

    return bool(setting("engine", "multi_image_archive", bool))
