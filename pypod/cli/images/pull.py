"""pull, and the pull that run and create share with it."""

from __future__ import annotations

from pypod.cli.flags.parser import Command, Flag
from pypod.cli.flags.registry import (
    ACCESS_FLAGS,
    DECRYPTION_FLAGS,
    PLATFORM_FLAGS,
    POLICY_FLAG,
    RETRY_FLAGS,
    access,
    platform,
)
from pypod.cli.render.plain_text import tell
from pypod.errors import InvalidSpec, PypodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod import Access
    from pypod.api.engine import Engine
    from pypod.api.images.image import Image
    from pypod.cli.flags.parser import Parsed

PULL = Command(
    path="pypod pull",
    summary="Pull an image from a registry",
    description="Pulls an image from a registry and stores it locally. An image can be pulled by tag or digest.",
    synopsis="[options] IMAGE [IMAGE...]",
    flags=(
        Flag(name="all-tags", short="a", kind="bool", help="All tagged images in the repository will be pulled"),
        Flag(
            name="disable-content-trust",
            kind="bool",
            hidden=True,
            help="This is a Docker specific option and is a NOOP",
        ),
        Flag(name="policy", default="always", help="Pull the image by this policy: always, missing, never, newer"),
        Flag(name="quiet", short="q", kind="bool", help="Suppress output information when pulling images"),
        *ACCESS_FLAGS,
        *DECRYPTION_FLAGS,
        *PLATFORM_FLAGS,
        *RETRY_FLAGS,
        POLICY_FLAG,
    ),
    examples=(
        "pypod pull busybox",
        "pypod pull oci-archive:busybox.tar",
        "pypod pull -q quay.io/podman/hello@sha256:...",
    ),
    min_args=1,
)


def run_pull(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod pull``."""
    from pypod.api.engine import Engine

    failures: list[PypodError] = []
    reach, policy, quiet = access(options), options["policy"], options["quiet"]
    with Engine(root) as engine:
        for name in options.positionals:
            try:
                names = _all_tags(reach, name) if options["all-tags"] else [name]
                found = [image_for(engine, options, one, policy, quiet=quiet, reach=reach) for one in names]
            except PypodError as error:  # the others are tried anyway
                failures.append(error)
            else:
                print("\n".join(image.id for image in found), flush=True)
    for failure in failures[:-1]:
        tell(f"Error: {failure}")
    if failures:
        raise failures[-1]
    return 0


def _all_tags(reach: Access, name: str) -> list[str]:
    from pypod import Registries
    from pypod.model.images.reference import parse, split_transport

    transport, rest = split_transport(name)
    if transport not in ("", "docker"):
        raise InvalidSpec("--all-tags", f"--all-tags is not supported for the transport {transport}")
    registries = Registries(reach)
    reference = parse(registries.candidates(name)[0])
    if parse(rest).tag or reference.digest:
        raise InvalidSpec("--all-tags", "--all-tags requires a name without tag and digest")
    return [f"{reference.name}:{tag}" for tag in registries.tags(name)]


def image_for(
    engine: Engine, options: Parsed, name: str, policy: str, *, quiet: bool = False, reach: Access | None = None
) -> Image:
    """Return an image from the store; pull it if the policy says so, with progress output on stderr."""
    from pypod.cli.render.asking import chosen_name, is_somebody_there
    from pypod.cli.render.telling import Telling

    wanted, reach = platform(options), reach or access(options)
    choose = chosen_name if is_somebody_there() else None
    with Telling(quiet=quiet) as telling:
        image = engine.images.for_container(
            name, policy, platform=wanted, access=reach, progress=telling, choose=choose
        )
    if wanted and not quiet:
        _warn(image, wanted)
    return image


def _warn(image: Image, wanted: str) -> None:
    """Warn when an image is for another platform: without an index there is no choice of platforms."""
    from pypod.model.images.platform import parse as parse_platform

    asked, found = parse_platform(wanted), image.config.platform
    if (asked.os, asked.architecture) != (found.os, found.architecture):
        tell(f"WARNING: image platform ({found}) does not match the expected platform ({asked})")
