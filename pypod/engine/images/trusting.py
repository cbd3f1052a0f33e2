"""The decision whether an image may be pulled: policy.json, and the signatures that it asks for."""

from __future__ import annotations

import os
from functools import partial

from pypod.errors import InvalidSpec, PermissionDenied, PypodError
from pypod.images.trust import policy as policies
from pypod.images.trust.requirements import ACCEPT, BASE_LAYER, REJECT, SIGNED_BY
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pypod.images.ends import Source
    from pypod.images.trust.policy import Policy
    from pypod.images.trust.requirements import Requirement
    from pypod.model.images.reference import Reference

    Claim = Callable[[Sequence[bytes]], tuple[str, str]]  # the digest and the name, from the keys


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


def require(candidate: Candidate, digest: str, source: Source | None = None) -> None:
    """Raise PermissionDenied, in podman's words, unless the policy accepts the image whose manifest has this digest.

    Signatures may be attached to the image in its ``source``. Without any policy everything is accepted. Raises
    InvalidSpec for an invalid one.
    """
    policy = _policy(candidate.policy)
    if policy is None:
        return
    for one in policy.requirements(candidate.transport, candidate.scopes):
        if one.type == ACCEPT:
            continue
        if reason := _reason(one, candidate, digest, source):
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


def _reason(one: Requirement, candidate: Candidate, digest: str, source: Source | None) -> str:
    """Return why a requirement is not met, empty when it is."""
    if one.type == REJECT:
        return f"Running image {candidate.shown} is rejected by policy."
    if one.type == BASE_LAYER:
        return "signedBaseLayer not implemented yet!"
    reasons = []
    for claim in _simple(candidate, digest) if one.type == SIGNED_BY else _sigstore(candidate, digest, source):
        reason = _wrong(one, candidate, digest, claim)
        if not reason:
            return ""
        reasons.append(reason)
    if not reasons:
        return "A signature was required, but no signature exists"
    return reasons[0] if len(reasons) == 1 else f"None of the signatures were accepted, reasons: {'; '.join(reasons)}"


def _simple(candidate: Candidate, digest: str) -> Iterator[Claim]:
    """Yield what each signature of gpg's claims when it is checked with keys."""
    from pypod.images.trust import lookaside
    from pypod.images.trust.openpgp import claim_of

    if candidate.reference is not None:
        base = lookaside.location(lookaside.load(os.environ), candidate.scopes)
        found = lookaside.signatures(base, candidate.reference, digest)
    else:
        found = iter(lookaside.beside(candidate.directory) if candidate.directory else ())
    return (partial(claim_of, signature) for signature in found)


def _sigstore(candidate: Candidate, digest: str, source: Source | None) -> Iterator[Claim]:
    """Yield what each sigstore signature claims when it is checked with keys."""
    from pypod.images.registry.client import RegistrySource
    from pypod.images.trust import lookaside, sigstore

    if not isinstance(source, RegistrySource):
        return iter(())
    if not lookaside.has_attachments(lookaside.load(os.environ), candidate.scopes):
        return iter(())
    return (partial(sigstore.claim_of, one) for one in sigstore.attached_to(source, digest))


def _wrong(one: Requirement, candidate: Candidate, digest: str, claim: Claim) -> str:
    """Return why a signature is not accepted, empty when it is."""
    from pypod.images.trust.claims import BadSignature
    from pypod.model.images.reference import parse

    try:
        claimed_digest, name = claim(_keys(one))
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
