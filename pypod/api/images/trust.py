"""Which images are accepted: policy.json as it is shown and changed, and signatures of images."""

from __future__ import annotations

import os
from _collections_abc import Iterable, Sequence

from pypod.errors import InvalidSpec
from pypod.images.trust import policy as policies
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from pypod.api.engine import Engine

__all__ = ["TYPES", "Trust", "change", "path", "rows", "sign", "text"]

# podman's words for the types of requirements
TYPES = {
    "accept": "insecureAcceptAnything",
    "reject": "reject",
    "signedBy": "signedBy",
    "sigstoreSigned": "sigstoreSigned",
}
_SHOWN = {
    "insecureAcceptAnything": "accept",
    "reject": "reject",
    "signedBy": "signed",
    "sigstoreSigned": "sigstoreSigned",
}
_REPOSITORY = "repository"  # podman's word for the transport of registries
_NOT_APPLICABLE = "N/A"


class Trust(Value):
    """One requirement: of a ``scope`` (empty: all) of a ``transport``, with the owners of the keys that count."""

    transport: str
    scope: str
    type: str
    keys: str = ""
    store: str = ""


def path() -> str:
    """Return the path of the caller's policy."""
    return policies.locate(os.environ)


def text(file: str = "") -> str:
    """Return the policy as it is written. Raises InvalidSpec."""
    name = file or path()
    try:
        with open(name, encoding="utf-8", errors="replace") as opened:
            return opened.read()
    except OSError as error:
        raise InvalidSpec("policy.json", f"open {name}: {(error.strerror or '').lower()}") from error


def rows(file: str = "") -> Sequence[Trust]:
    """Return every requirement of the policy, the default ones first. Raises InvalidSpec."""
    from pypod.images.trust import lookaside

    policy = policies.parse(text(file).encode(), file or path())
    sections = lookaside.load(os.environ)
    found = [_row("all", "* (default)", one, "") for one in policy.default]
    for transport, scopes in sorted(policy.transports):
        shown = _REPOSITORY if transport == policies.DOCKER else transport
        for scope, requirements in sorted(scopes):
            store = sections.get(scope, sections.get("", {})) if shown == _REPOSITORY else {}
            url = store.get("lookaside-staging") or store.get("lookaside") or store.get("sigstore") or ""
            found += [_row(shown, scope, one, url) for one in requirements]
    return found


def _row(transport: str, scope: str, one: Any, store: str) -> Trust:
    kind = _SHOWN.get(one.type, "")
    keys = _NOT_APPLICABLE if one.type == "sigstoreSigned" else _owners(one) if kind == "signed" else ""
    store = store if kind in ("signed", "sigstoreSigned") else ""
    return Trust(transport=transport, scope=scope, type=kind, keys=keys, store=store)


def _owners(one: Any) -> str:
    from pypod.errors import Unsupported
    from pypod.images.trust.openpgp import identities

    try:
        return ", ".join(owner for file in one.key_paths for owner in identities(file))
    except Unsupported:
        return ""


def change(scope: str, kind: str, keys: Iterable[str] = (), file: str = "") -> None:
    """Set the requirement for images of a registry, a namespace or a repository; ``default`` is for all the rest.

    ``kind`` is one of ``TYPES``; ``keys`` are the paths of public keys. Raises InvalidSpec.
    """
    import json

    from pypod.images.new_file import replace_file

    paths, name = [os.path.abspath(key) for key in keys], file or path()
    if kind not in TYPES:
        words = ", ".join([f"'{word}'" for word in sorted(TYPES)])
        raise InvalidSpec("--type", f"invalid choice: {kind} (choose from {words})")
    requirement: dict[str, Any] = {"type": TYPES[kind]}
    if kind in ("signedBy", "sigstoreSigned"):
        if not paths:
            raise InvalidSpec("--pubkeysfile", f"at least one public key must be defined for type '{kind}'")
        requirement |= {"keyType": "GPGKeys"} if kind == "signedBy" else {}
        requirements = [{**requirement, "keyPath": one} for one in paths]
    else:
        requirements = [requirement]
    if not scope or any(char.isspace() for char in scope):
        raise InvalidSpec("REGISTRY", f"invalid image uri: {scope}")
    found: dict[str, Any] = {}
    if os.path.exists(name):
        policies.read(name)  # reports what is wrong with it
        found = json.loads(text(name))
    if scope == "default":
        found["default"] = requirements
    elif "default" not in found:
        raise InvalidSpec("REGISTRY", "default trust policy must be set")
    else:
        found.setdefault("transports", {}).setdefault(policies.DOCKER, {})[scope] = requirements
    ordered = {key: found[key] for key in ("default", "transports") if key in found}
    if "transports" in ordered:
        ordered["transports"] = {key: dict(sorted(inner.items())) for key, inner in sorted(found["transports"].items())}
    try:
        replace_file(name, json.dumps(ordered, indent=4), mode=0o644)
    except OSError as error:
        raise InvalidSpec("policy.json", f"open {name}: {(error.strerror or '').lower()}") from error


def sign(engine: Engine, ref: str, identity: str, directory: str = "", *, all: bool = False) -> Sequence[str]:
    """Sign an image that was pulled from a registry with a key of the caller's keyring; return the files written.

    They go to ``directory``, or to where registries.d says. With ``all``, every member of a manifest list is signed.
    Raises NoSuchImage, InvalidSpec, Unsupported without gpg.
    """
    from pypod.engine.images.signing import sign

    return sign(engine, ref, identity, directory, everyone=all)
