"""Flags for access to registries and for the platform of an image."""

from __future__ import annotations

import os

from pypod.cli.flags.parser import Flag
from pypod.errors import InvalidSpec, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod import Access
    from pypod.cli.flags.parser import Parsed

PLATFORM_FLAGS: tuple[Flag, ...] = (
    Flag(
        name="arch",
        aliases=("override-arch",),
        help="Use ARCH instead of the architecture of the machine for choosing images",
    ),
    Flag(name="os", aliases=("override-os",), help="Use OS instead of the running OS for choosing images"),
    Flag(name="platform", help="Specify the platform for selecting the image (OS/ARCH[/VARIANT])"),
    Flag(
        name="variant",
        aliases=("override-variant",),
        help="Use VARIANT instead of the running architecture variant for choosing images",
    ),
)
POLICY_FLAG = Flag(name="signature-policy", hidden=True, help="Path of a policy to use instead of policy.json")
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
RETRY_FLAGS: tuple[Flag, ...] = (
    Flag(name="retry", kind="uint", default=3, help="Number of times to retry in case of failure"),
    Flag(name="retry-delay", help="Delay between retries in case of failure (e.g. 2s)"),
)
# The keys of encrypted layers: using one reports that they are unavailable, not that the flag is unknown.
DECRYPTION_FLAGS: tuple[Flag, ...] = (
    Flag(name="decryption-key", kind="stringArray", hidden=True, help="Encrypted images are not available"),
)
ENCRYPTION_FLAGS: tuple[Flag, ...] = (
    Flag(name="encrypt-layer", kind="strings", hidden=True, help="Encrypted images are not available"),
    Flag(name="encryption-key", kind="stringArray", hidden=True, help="Encrypted images are not available"),
)


def access(options: Parsed) -> Access:
    """Return the registry access options of the flags. Raises InvalidSpec, also for a missing file, and Unsupported."""
    for flag in (*DECRYPTION_FLAGS, *ENCRYPTION_FLAGS):
        if flag in options.command.flags and options[flag.name]:
            hint = "skopeo copy decrypts and encrypts images on the way"
            raise Unsupported(f"--{flag.name}", f"--{flag.name}: encrypted images are not available", hint=hint)
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
        signature_policy=options["signature-policy"] if POLICY_FLAG in options.command.flags else "",
        credentials=credentials,
        user_agent=f"pypod/{__version__}",
        **_retries(options),
    )


def require_policy(options: Parsed) -> None:
    """Raise InvalidSpec when the file of --signature-policy cannot be read: what is stored here is always trusted."""
    if options["signature-policy"]:
        from pypod.api.images.trust import rows

        rows(options["signature-policy"])


def _retries(options: Parsed) -> dict[str, Any]:
    """Return the fields for --retry and --retry-delay. Raises InvalidSpec."""
    if not set(RETRY_FLAGS) <= set(options.command.flags):
        return {}
    from pypod.api.configuration import setting

    count = options["retry"] if options.changed("retry") else setting("engine", "retry", int)
    found: dict[str, Any] = {} if count is None else {"retries": count}
    delay = options["retry-delay"] or setting("engine", "retry_delay", str)
    if delay:
        from pypod.cli.flags.times import parse_duration_ns

        try:
            found["retry_delay_s"] = parse_duration_ns(delay) / 1e9
        except ValueError as error:
            raise InvalidSpec("--retry-delay", str(error)) from error
        if found["retry_delay_s"] < 0:
            raise InvalidSpec("--retry-delay", f"the delay {delay} is negative")
    return found


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
    from pypod.model.images.platform import host

    here = host()
    return "/".join(filter(None, (parts[0] or here.os, parts[1] or here.architecture, parts[2])))
