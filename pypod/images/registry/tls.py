"""TLS to a registry: trusted authorities and client certificates (containers-certs.d(5))."""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl


def certificate_directories(host: str, cert_dir: str = "") -> list[str]:
    """Return the directories with certificates for ``host``, with its port: the user's choice, or the system's.

    Only the first existing directory of the system counts, as in podman.
    """
    if cert_dir:
        return [cert_dir]
    home = os.path.expanduser("~/.config/containers/certs.d")
    places = (home, "/etc/containers/certs.d", "/etc/docker/certs.d")
    return next(([path] for place in places if os.path.isdir(path := f"{place}/{host}")), [])


def context(directories: list[str], *, verify: bool, with_client_key: bool) -> ssl.SSLContext:
    """Return a TLS context: the system's authorities and ``*.crt``, and client pairs ``*.cert`` and ``*.key``.

    Raises InvalidSpec when a directory or a file in it cannot be used.
    """
    import ssl

    if verify:
        made = ssl.create_default_context()
        # Go's rules, as in podman, whatever this Python's are: authorities need not state their key usage, as many
        # self-made ones do not (strict since 3.13), and a trusted certificate need not be the last of its chain.
        made.verify_flags = made.verify_flags & ~ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    else:  # without the system's authorities, which cost 20 ms to load
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    made.set_alpn_protocols(["http/1.1"])
    for directory in directories:
        try:
            names = sorted(os.listdir(directory))
        except OSError as error:
            raise InvalidSpec("--cert-dir", f"{directory}: {error.strerror}") from error
        for name in names:
            path = f"{directory}/{name}"
            try:
                if name.endswith(".crt"):
                    made.load_verify_locations(path)
                elif name.endswith(".cert") and with_client_key:
                    key = f"{name.removesuffix('.cert')}.key"
                    if key not in names:
                        raise InvalidSpec(
                            "--cert-dir",
                            f"missing key {key} for client certificate {name}. Note that CA certificates should use "
                            "the extension .crt",
                        )
                    made.load_cert_chain(path, f"{directory}/{key}")
                elif name.endswith(".key") and f"{name.removesuffix('.key')}.cert" not in names:
                    raise InvalidSpec(
                        "--cert-dir", f"missing client certificate {name.removesuffix('.key')}.cert for key {name}"
                    )
            except OSError as error:  # SSLError is a subclass
                raise InvalidSpec("--cert-dir", f"{path}: {error.strerror or error}") from error
    return made
