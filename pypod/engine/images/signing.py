"""Sign images: a claim about each digest that an image has in a registry, written where signatures are looked up."""

from __future__ import annotations

import os

from pypod.engine.core.boundary import Boundary
from pypod.engine.images import stored
from pypod.errors import InvalidSpec
from pypod.images.registry.client import RegistryDestination
from pypod.images.trust import lookaside, openpgp
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
        identity: str,
        passphrase_file: str,
    ) -> None:
        super().__init__(reference, access, registries, mount_from=mount_from)
        self._key = identity, passphrase_file
        self._base = _location(reference)

    def put_manifest(self, media_type: str, body: bytes, *, digest: str = "") -> None:
        found = digest_of(body)
        signature = openpgp.sign(found, str(self.reference), *self._key)
        lookaside.store(self._base, self.reference, found, signature)  # first: nothing has the name without it
        super().put_manifest(media_type, body, digest=digest)


def _digests(found: stored.StoredImage, repository: str, *, everyone: bool) -> list[str]:
    """Return the digest of an image's manifest, and with ``everyone`` those of lists in a repository, too."""
    others = [one.partition("@")[2] for one in found.digests if one.startswith(f"{repository}@")]
    return sorted({found.digest, *others}) if everyone else [found.digest]
