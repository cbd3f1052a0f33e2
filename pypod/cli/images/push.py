"""push: copy an image to a registry, an archive or a directory."""

from __future__ import annotations

from pypod.cli.flags.parser import Command, Flag
from pypod.cli.flags.registry import ACCESS_FLAGS, ENCRYPTION_FLAGS, POLICY_FLAG, RETRY_FLAGS, access, require_policy
from pypod.cli.render.telling import Telling
from pypod.errors import InvalidSpec, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed

SIGNING_FLAGS = (
    Flag(name="sign-by", help="Add a signature at the destination using the specified key"),
    Flag(name="sign-by-sigstore-private-key", help="Sign the image using a sigstore private key at PATH"),
    Flag(name="sign-passphrase-file", help="Read a passphrase for signing an image from a file"),
    # using it reports that there are no signatures of this kind, not that the flag is unknown
    Flag(name="sign-by-sigstore", hidden=True, help="Parameter files of sigstore are not available"),
)
COMPRESSION_FLAGS: tuple[Flag, ...] = (
    Flag(name="compression-format", help="Compression format to use: gzip or zstd (default: as in the layers)"),
    Flag(name="compression-level", kind="int", default=0, help="Compression level to use: 1 to 9, with zstd to 20"),
    # podman may leave what the destination has in another compression
    Flag(name="force-compression", kind="bool", hidden=True, help="Use the compression format in any case: always so"),
)
_PODMANS = ("bzip2", "gzip", "xz", "zstd", "zstd:chunked")  # of which pypod writes two
PUSH = Command(
    path="pypod push",
    summary="Push an image to a specified destination",
    description="Pushes a source image to a specified destination. The default destination is given by its name.",
    synopsis="[options] IMAGE [DESTINATION]",
    flags=(
        *ACCESS_FLAGS,
        *ENCRYPTION_FLAGS,
        *RETRY_FLAGS,
        *SIGNING_FLAGS,
        POLICY_FLAG,
        Flag(name="all", kind="bool", help="If IMAGE is a manifest list, push it with all its images"),
        Flag(name="compress", kind="bool", help="Compress tarball image layers when pushing to a directory"),
        *COMPRESSION_FLAGS,
        Flag(name="digestfile", help="Write the digest of the pushed image to the specified file"),
        Flag(
            name="disable-content-trust",
            kind="bool",
            hidden=True,
            help="This is a Docker specific option and is a NOOP",
        ),
        Flag(
            name="format",
            short="f",
            help="Manifest type (oci or v2s2) to use in the destination (default is manifest type of source)",
        ),
        Flag(name="quiet", short="q", kind="bool", help="Suppress output information when pushing images"),
        Flag(
            name="remove-signatures",
            kind="bool",
            hidden=True,
            help="Accepted for compatibility with podman: local images have no signatures",
        ),
    ),
    examples=(
        "pypod push imageID docker://registry.example.com/repository:tag",
        "pypod push imageID oci-archive:/path/to/layout:image:tag",
    ),
    min_args=1,
    max_args=2,
)


def run_push(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod push``."""
    from pypod.api.engine import Engine

    refuse_parameters(options)
    require_policy(options)
    name, destination = (*options.positionals, "")[:2]
    reach = access(options)
    with Engine(root) as engine:
        is_list = options["all"] and engine.images.find(name).is_list
        source = engine.manifests.get(name) if is_list else engine.images.get(name)
        more = {} if is_list else {"compress": options["compress"]}
        with Telling(quiet=options["quiet"]) as telling:
            digest = source.push(
                destination,
                access=reach,
                format=options["format"],
                compression=options["compression-format"] or _compression(),
                compression_level=compression_level(options),
                sign_by=options["sign-by"],
                sigstore_key=options["sign-by-sigstore-private-key"],
                passphrase_file=options["sign-passphrase-file"],
                progress=telling,
                **more,
            )
        if options["digestfile"]:
            write_digest(options["digestfile"], digest)
    return 0


def compression_level(options: Parsed) -> int:
    """Return the level of --compression-level, or of the configuration; 0 for the usual one."""
    from pypod.api.configuration import setting

    given = options.changed("compression-level")
    return int(options["compression-level"] if given else setting("engine", "compression_level", int) or 0)


def _compression() -> str:
    """Return the compression that the configuration asks for, where it can be had. Raises InvalidSpec."""
    from pypod.api.configuration import setting

    found = setting("engine", "compression_format", str) or ""
    if found and found not in _PODMANS:
        raise InvalidSpec(
            "--compression-format", f'cannot find compressor for "{found}"', hint="see containers.conf(5)"
        )
    return found if found in ("gzip", "zstd") else ""


def refuse_parameters(options: Parsed) -> None:
    """Raise Unsupported for sigstore's parameter files: the image must not be pushed without a signature asked for."""
    if options["sign-by-sigstore"]:
        message = "--sign-by-sigstore: pypod signs with a private key only"
        raise Unsupported("--sign-by-sigstore", message, hint="use --sign-by-sigstore-private-key PATH")


def write_digest(path: str, digest: str) -> None:
    """Write a digest to a file. Raises InvalidSpec."""
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(digest)
    except OSError as error:
        raise InvalidSpec("--digestfile", f"failed to write digest file: open {path}: {error.strerror}") from error
