"""Sign images: a claim about each digest that an image has in a registry, written where signatures are looked up."""

from __future__ import annotations

import os

from pypod.engine.core.boundary import Boundary
from pypod.engine.images import stored
from pypod.errors import InvalidSpec
from pypod.images.registry.client import RegistryDestination
from pypod.images.trust import lookaside, openpgp, sigstore
from pypod.images.trust.policy import scopes_of_name
from pypod.model.images.image import digest_of
from pypod.model.images.reference import parse, split_transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pypod.engine.core.context import Context
    from pypod.images.config.registries import Registries
    from pypod.images.registry.access import Access
    from pypod.model.images.reference import Reference
    from pypod.model.images.signing import Signing


def sign(context: Context, ref: str, identity: str, directory: str = "", *, everyone: bool = False) -> Sequence[str]:
    """Sign the image ``docker://NAME``; see ``pypod.api.images.trust.sign``."""
    transport, name = split_transport(ref)
    if transport != "docker":
        message = f'parsing image name: Invalid image name "{ref}", expected colon-separated transport:reference'
        raise InvalidSpec("IMAGE", message, hint=f"write docker://{name}")
    if directory and not os.path.isdir(directory):
        raise InvalidSpec("--directory", f"stat {directory}: no such file or directory")
    reference = parse(name).tagged()
    found = stored.find(context, str(reference))
    base = f"file://{os.path.abspath(directory)}" if directory else ""
    base = base or _location(reference)
    digests = _digests(found, reference.name, everyone=everyone)
    written = []
    with Boundary(f"sign {ref}"):
        for digest in digests:
            signature = openpgp.sign(digest, str(reference), identity)
            written.append(lookaside.store(base, reference, digest, signature))
    return written


def _location(reference: Reference) -> str:
    return lookaside.location(lookaside.load(os.environ), scopes_of_name(reference), written=True)


class SigningDestination(RegistryDestination):
    """A name in a registry that an image is written to; every manifest is signed before it is sent."""

    def __init__(
        self,
        reference: Reference,
        access: Access,
        registries: Registries,
        *,
        mount_from: Iterable[Reference],
        signing: Signing,
    ) -> None:
        super().__init__(reference, access, registries, mount_from=mount_from)
        self._signing = signing
        if signing.gpg_key:
            self._base = _location(reference)
        if signing.sigstore_key:
            if not lookaside.has_attachments(lookaside.load(os.environ), scopes_of_name(reference)):
                message = "writing sigstore attachments is disabled by configuration"
                hint = "use-sigstore-attachments: true, see containers-registries.d(5)"
                raise InvalidSpec(signing.flag, message, hint=hint)
            self._key = sigstore.private_key(signing.sigstore_key, _passphrase(signing.passphrase_file))

    def put_manifest(self, media_type: str, body: bytes, *, digest: str = "") -> None:
        found, name = digest_of(body), str(self.reference)
        # signed first: nothing has the name without a signature
        if self._signing.gpg_key:
            signature = openpgp.sign(found, name, self._signing.gpg_key, self._signing.passphrase_file)
            lookaside.store(self._base, self.reference, found, signature)
        if self._signing.sigstore_key:
            sigstore.attach(self, found, sigstore.sign(found, name, self._key))
        super().put_manifest(media_type, body, digest=digest)


def _passphrase(path: str) -> bytes:
    if not path:
        return b""
    try:
        with open(path, "rb") as file:
            return file.readline().rstrip(b"\r\n")
    except OSError as error:
        raise InvalidSpec("--sign-passphrase-file", f"open {path}: {error.strerror}") from error


def _digests(found: stored.StoredImage, repository: str, *, everyone: bool) -> list[str]:
    """Return the digest of an image's manifest, and with ``everyone`` those of lists in a repository, too."""
    others = [one.partition("@")[2] for one in found.digests if one.startswith(f"{repository}@")]
    return sorted({found.digest, *others}) if everyone else [found.digest]
