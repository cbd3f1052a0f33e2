"""manifest exists, inspect, push and rm: inspect, push and remove manifest lists."""

from __future__ import annotations

from pypod.cli.flags.parser import Command, Flag
from pypod.cli.flags.registry import ACCESS_FLAGS
from pypod.cli.images.manifest import INSECURE, reach
from pypod.cli.images.push import COMPRESSION_FLAGS, SIGNING_FLAGS, compression_level, refuse_parameters, write_digest
from pypod.cli.render.plain_text import joined, tell
from pypod.errors import InvalidSpec, NoSuchImage, PypodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.cli.flags.parser import Parsed

MANIFEST_EXISTS = Command(
    path="pypod manifest exists",
    summary="Check if a manifest list exists in local storage",
    description="The exit code is 0 if the manifest list exists, 1 if it does not, 125 if it is an image.",
    synopsis="MANIFEST",
    examples=("pypod manifest exists mylist",),
    min_args=1,
    max_args=1,
)
MANIFEST_INSPECT = Command(
    path="pypod manifest inspect",
    summary="Display the contents of a manifest list or image index",
    description="Displays a manifest list from local storage, or else from a registry.",
    synopsis="[options] IMAGE",
    flags=(INSECURE, *ACCESS_FLAGS),
    examples=("pypod manifest inspect localhost/list", "pypod manifest inspect docker://quay.io/podman/hello"),
    min_args=1,
    max_args=1,
)
MANIFEST_PUSH = Command(
    path="pypod manifest push",
    summary="Push a manifest list or image index to a registry",
    description="Pushes a manifest list after its images. The default destination is given by the list's name.",
    synopsis="[options] LIST [DESTINATION]",
    flags=(
        *ACCESS_FLAGS,
        *SIGNING_FLAGS,
        Flag(name="add-compression", kind="strings", help="Add variants of the images in this compression: gzip, zstd"),
        Flag(name="all", kind="bool", default=True, help="Also push the images in the list"),
        *COMPRESSION_FLAGS,
        Flag(name="digestfile", help="Write the digest of the pushed list to the specified file"),
        Flag(
            name="format",
            short="f",
            help="Manifest type (oci or v2s2) to use (default: oci for the list, images unchanged)",
        ),
        INSECURE,
        Flag(name="quiet", short="q", kind="bool", help="Do not output progress information when pushing"),
        Flag(
            name="remove-signatures",
            kind="bool",
            hidden=True,
            help="Accepted for compatibility with podman: local images have no signatures",
        ),
        Flag(name="rm", short="p", kind="bool", aliases=("purge",), help="Remove the list if pushing succeeds"),
    ),
    examples=(
        "pypod manifest push mylist:v1.11 docker://quay.io/myuser/image:v1.11",
        "pypod manifest push mylist:v1.11 oci-archive:mylist.tar",
    ),
    min_args=1,
    max_args=2,
)
MANIFEST_RM = Command(
    path="pypod manifest rm",
    summary="Remove manifest list or image index from local storage",
    description="Removes one or more manifest lists; the images in them are kept.",
    synopsis="[options] LIST [LIST...]",
    flags=(Flag(name="ignore", short="i", kind="bool", help="Ignore errors when a specified manifest is missing"),),
    examples=("pypod manifest rm mylist:v1.11",),
    min_args=1,
)


def run_manifest_exists(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod manifest exists``."""
    from pypod.api.engine import Engine

    with Engine(root) as engine:
        return 0 if engine.manifests.exists(options.positionals[0]) else 1


def run_manifest_inspect(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod manifest inspect``."""
    import json

    from pypod.api.engine import Engine

    name = options.positionals[0]
    with Engine(root) as engine:
        try:
            body = engine.manifests.get(name).index().body
        except (NoSuchImage, InvalidSpec):
            body = engine.manifests.in_registry(name, access=reach(options))
    found = json.loads(body)
    if "manifests" not in found:
        tell(f"WARNING: {name} is not a manifest list but a single image")
    print(json.dumps(found, indent=4))
    return 0


def run_manifest_push(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod manifest push``."""
    from pypod.api.engine import Engine
    from pypod.cli.render.telling import Telling

    refuse_parameters(options)
    how = reach(options)
    name, destination = (*options.positionals, "")[:2]
    with Engine(root) as engine:
        try:
            found = engine.manifests.get(name)
        except NoSuchImage as error:
            error.message = f"retrieving local image from image name {name}: {error.message}"
            raise
        with Telling(quiet=options["quiet"]) as telling:
            digest = found.push(
                destination,
                all=options["all"],
                access=how,
                format=options["format"],
                compression=options["compression-format"],
                compression_level=compression_level(options),
                add_compression=_added(options),
                sign_by=options["sign-by"],
                sigstore_key=options["sign-by-sigstore-private-key"],
                passphrase_file=options["sign-passphrase-file"],
                progress=telling,
            )
        if options["digestfile"]:
            write_digest(options["digestfile"], digest)
        if options["rm"]:
            found.delete()
    return 0


def _added(options: Parsed) -> Sequence[str]:
    """Return the compressions of --add-compression, or of the configuration."""
    from pypod.api.configuration import texts

    return options["add-compression"] if options.changed("add-compression") else texts("engine", "add_compression")


def run_manifest_rm(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod manifest rm``."""
    from pypod.api.engine import Engine

    failures: list[PypodError] = []
    with Engine(root) as engine:
        for name in options.positionals:
            try:
                found = engine.manifests.get(name)
                names = found.names
                found.delete()
            except PypodError as error:  # the others are removed anyway
                if options["ignore"] and isinstance(error, NoSuchImage):
                    continue
                failures.append(error)
                continue
            print("".join([f"Untagged: {one}\n" for one in names]) + f"Deleted: {found.id}", flush=True)
    if not failures:
        return 0
    tell(f"Error: {joined(failures)}")
    return 1 if all(isinstance(failure, NoSuchImage) for failure in failures) else 125
