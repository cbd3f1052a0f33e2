"""Sign images: a claim about each digest that an image has in its registry, written where signatures are looked up."""

from __future__ import annotations

import os

from pypod.engine.core.boundary import Boundary
from pypod.engine.images import stored
from pypod.errors import InvalidSpec
from pypod.images.trust import lookaside, openpgp
from pypod.images.trust.policy import scopes_of_name
from pypod.model.images.reference import parse, split_transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.engine.core.context import Context


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
    base = base or lookaside.location(lookaside.load(os.environ), scopes_of_name(reference), written=True)
    digests = _digests(found, reference.name, everyone=everyone)
    written = []
    with Boundary(f"sign {ref}"):
        for digest in digests:
            signature = openpgp.sign(digest, str(reference), identity)
            written.append(lookaside.store(base, reference, digest, signature))
    return written


def _digests(found: stored.StoredImage, repository: str, *, everyone: bool) -> list[str]:
    """Return the digest of an image's manifest, and with ``everyone`` those of lists in a repository, too."""
    others = [one.partition("@")[2] for one in found.digests if one.startswith(f"{repository}@")]
    return sorted({found.digest, *others}) if everyone else [found.digest]
