"""The decision whether an image may be pulled: policy.json, and the signatures that it asks for."""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec, PermissionDenied, PypodError
from pypod.images.trust import policy as policies
from pypod.images.trust.requirements import ACCEPT, BASE_LAYER, REJECT, SIGNED_BY
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.images.trust.policy import Policy
    from pypod.images.trust.requirements import Requirement
    from pypod.model.images.reference import Reference


class Candidate(Value):
    """An image about to be pulled: its name in messages, its transport and scopes, and its name in a registry.

    ``policy`` is the path of the policy to use instead of the caller's.
    """

    shown: str
    transport: str
    scopes: tuple[str, ...]
    reference: Reference | None = None
    directory: str = ""
    policy: str = ""


def of_registry(reference: Reference, policy: str = "") -> Candidate:
    """Return the candidate for an image in a registry."""
    name = str(reference).removeprefix("docker.io/").removeprefix("library/")
    return Candidate(
        shown=f"docker://{name}",
        transport=policies.DOCKER,
        scopes=tuple(policies.scopes_of_name(reference)),
        reference=reference,
        policy=policy,
    )


def of_file(transport: str, path: str, image: str = "", policy: str = "") -> Candidate:
    """Return the candidate for an image in a file or directory."""
    colon = "" if transport == "dir" else f":{image}"
    return Candidate(
        shown=f"{transport}:{path}{colon}",
        transport=transport,
        scopes=tuple(policies.scopes_of_path(transport, path, image)),
        directory=path if transport == "dir" else "",
        policy=policy,
    )


def require(candidate: Candidate, digest: str) -> None:
    """Raise PermissionDenied, in podman's words, unless the policy accepts the image whose manifest has this digest.

    Without any policy everything is accepted. Raises InvalidSpec for an invalid one.
    """
    policy = _policy(candidate.policy)
    if policy is None:
        return
    for one in policy.requirements(candidate.transport, candidate.scopes):
        if one.type == ACCEPT:
            continue
        if reason := _reason(one, candidate, digest):
            hint = "" if one.type == REJECT else f"{policy.path} asks for one"
            raise PermissionDenied("pull", f"Source image rejected: {reason}", hint=hint)


def _policy(path: str) -> Policy | None:
    if path:
        try:
            return policies.read(path)
        except FileNotFoundError as error:
            raise InvalidSpec("--signature-policy", f"open {path}: no such file or directory") from error
    try:
        return policies.read(policies.locate(os.environ))
    except FileNotFoundError:
        return None


def _reason(one: Requirement, candidate: Candidate, digest: str) -> str:
    """Return why a requirement is not met, empty when it is."""
    if one.type == REJECT:
        return f"Running image {candidate.shown} is rejected by policy."
    if one.type == BASE_LAYER:
        return "signedBaseLayer not implemented yet!"
    if one.type != SIGNED_BY:
        return "sigstore signatures cannot be verified here"
    signatures = _signatures(candidate, digest)
    if not signatures:
        return "A signature was required, but no signature exists"
    reasons = []
    for signature in signatures:
        reason = _wrong(one, candidate, digest, signature)
        if not reason:
            return ""
        reasons.append(reason)
    return reasons[0] if len(reasons) == 1 else f"None of the signatures were accepted, reasons: {'; '.join(reasons)}"


def _signatures(candidate: Candidate, digest: str) -> Sequence[bytes]:
    from pypod.images.trust import lookaside

    if candidate.reference is None:
        return lookaside.beside(candidate.directory) if candidate.directory else ()
    base = lookaside.location(lookaside.load(os.environ), candidate.scopes)
    return list(lookaside.signatures(base, candidate.reference, digest))


def _wrong(one: Requirement, candidate: Candidate, digest: str, signature: bytes) -> str:
    """Return why a signature is not accepted, empty when it is."""
    from pypod.images.trust.openpgp import BadSignature, claim_of
    from pypod.model.images.reference import parse

    try:
        claimed_digest, name = claim_of(signature, _keys(one))
        claimed = parse(name)
    except (BadSignature, PypodError, OSError, ValueError) as error:
        return str(error)
    if claimed_digest != digest:
        return f"Docker manifest digest {digest} does not match the signed {claimed_digest}"
    return "" if one.accepts(claimed, candidate.reference) else f"Signature for identity {name} is not accepted"


def _keys(one: Requirement) -> list[bytes]:
    if one.key_data:
        from binascii import a2b_base64

        return [a2b_base64(one.key_data)]
    found = []
    for path in one.key_paths:
        with open(path, "rb") as file:
            found.append(file.read())
    return found
