"""pull, and what run and create share with it: flags and progress output."""

from __future__ import annotations

import os

from pypod.cli.flags.parser import Command, Flag
from pypod.cli.render.plain_text import tell
from pypod.errors import InvalidSpec, PypodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod import Access
    from pypod.api.engine import Engine
    from pypod.api.image import Image
    from pypod.cli.flags.parser import Parsed

PLATFORM_FLAGS: tuple[Flag, ...] = (
    Flag(name="arch", help="Use ARCH instead of the architecture of the machine for choosing images"),
    Flag(name="os", help="Use OS instead of the running OS for choosing images"),
    Flag(name="platform", help="Specify the platform for selecting the image (OS/ARCH[/VARIANT])"),
    Flag(name="variant", help="Use VARIANT instead of the running architecture variant for choosing images"),
)
ACCESS_FLAGS: tuple[Flag, ...] = (
    Flag(
        name="authfile", help="Path of the authentication file. Use REGISTRY_AUTH_FILE environment variable to override"
    ),
    Flag(name="cert-dir", help="Pathname of a directory containing TLS certificates and keys"),
    Flag(name="creds", help="Credentials (USERNAME[:PASSWORD]) to use for authenticating to a registry"),
    Flag(
        name="tls-verify",
        kind="bool",
        default=True,
        help="Require HTTPS and verify certificates when contacting registries",
    ),
)
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
        *PLATFORM_FLAGS,
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
    from pypod.model.reference import parse, split_transport

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
    from pypod.model.platform import parse as parse_platform

    asked, found = parse_platform(wanted), image.config.platform
    if (asked.os, asked.architecture) != (found.os, found.architecture):
        tell(f"WARNING: image platform ({found}) does not match the expected platform ({asked})")


def access(options: Parsed) -> Access:
    """Return the registry access options of the flags. Raises InvalidSpec, also for a missing file."""
    if options["authfile"] or "REGISTRY_AUTH_FILE" in os.environ:
        from pypod import Registries

        Registries(access_with(options)).require_authfile()
    credentials = None
    if options["creds"]:
        credentials = _credentials(options["creds"])
    return access_with(options, cert_dir=options["cert-dir"], credentials=credentials)


def _credentials(text: str) -> tuple[str, str]:
    """Parse USERNAME:PASSWORD; prompt for missing parts. Raises InvalidSpec when there is no answer."""
    from pypod.cli.render.asking import hidden_line, shown_line

    user, _, password = text.partition(":")
    user = user or shown_line("Username: ", "--creds", "could not read username from terminal")
    return user, password or hidden_line("Password: ", "--creds", "could not read password from terminal")


def access_with(options: Parsed, *, cert_dir: str = "", credentials: tuple[str, str] | None = None) -> Access:
    """Return access options from --tls-verify, --authfile and the arguments, without reading any file."""
    from pypod import Access, __version__

    return Access(
        tls_verify=options["tls-verify"] if options.changed("tls-verify") else None,
        cert_dir=cert_dir,
        authfile=options["authfile"],
        credentials=credentials,
        user_agent=f"pypod/{__version__}",
    )


def platform(options: Parsed) -> str:
    """Return the platform that the flags name, or an empty string."""
    parts = [options[name] for name in ("os", "arch", "variant")]
    if options["platform"]:
        if any(parts):
            raise InvalidSpec("--platform", "--platform option can not be specified with --arch, --os or --variant")
        text: str = options["platform"]
        return text
    if not any(parts):
        return ""
    from pypod.model.platform import host

    here = host()
    return "/".join(filter(None, (parts[0] or here.os, parts[1] or here.architecture, parts[2])))
