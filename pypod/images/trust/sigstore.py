"""Sigstore signatures: claims signed with ECDSA, attached to an image in its repository (containers-signature(5)).

They are the layers of a manifest whose tag is made of the image's digest
(github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md). openssl(1) signs and verifies; a private key is a file
that is encrypted as cosign does it.
"""

from __future__ import annotations

import base64
import binascii
import json
import subprocess
import tempfile

from pypod.errors import InvalidImage, InvalidSpec, NotInRegistry, Unsupported
from pypod.images.trust import claims
from pypod.images.trust.claims import BadSignature
from pypod.kernel.programs import installed
from pypod.model.images.image import OCI_CONFIG, OCI_MANIFEST, Descriptor, Manifest, digest_of, parse_manifest
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from pypod.images.registry.client import RegistryDestination, RegistrySource

_TYPE = "cosign container image signature"
_MEDIA_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
_SIGNATURE = "dev.cosignproject.cosign/signature"
_BYTES_LIMIT = 4 << 20
_PEM_TYPES = ("ENCRYPTED COSIGN PRIVATE KEY", "ENCRYPTED SIGSTORE PRIVATE KEY")
_SCRYPT_N_LIMIT, _SCRYPT_R_LIMIT, _SCRYPT_P_LIMIT = 1 << 20, 32, 8
_KEY_BYTES, _NONCE_BYTES = 32, 24  # of nacl's secretbox
_TIMEOUT_S = 30
FLAG = "--sign-by-sigstore-private-key"


class Attached(Value):
    """A signature as it is attached to an image: the signed claim, and the signature of it in base64."""

    claim: bytes
    signature: str


def tag_of(digest: str) -> str:
    """Return the tag of the signatures of a manifest.

    >>> tag_of("sha256:0123")
    'sha256-0123.sig'
    """
    return f"{digest.replace(':', '-')}.sig"


def attached_to(source: RegistrySource, digest: str) -> Iterator[Attached]:
    """Yield the signatures of a manifest in the repository it is read from. Raises RegistryError, InvalidImage."""
    try:
        manifest = _manifest(*source.tagged(tag_of(digest)))
    except NotInRegistry:
        return
    for layer in manifest.layers:
        if layer.media_type == _MEDIA_TYPE and layer.size <= _BYTES_LIMIT:
            yield Attached(claim=b"".join(source.blob(layer)), signature=dict(layer.annotations).get(_SIGNATURE, ""))


def _manifest(media_type: str, body: bytes) -> Manifest:
    found = parse_manifest(body, media_type, "signatures")
    if not isinstance(found, Manifest):
        raise InvalidImage("signatures", "it is an index")
    return found


def claim_of(one: Attached, keys: Sequence[bytes]) -> tuple[str, str]:
    """Return the digest and the name that a signature claims, made by one of the public ``keys`` (PEM).

    Raises BadSignature, Unsupported without openssl.
    """
    try:
        signature = base64.b64decode(one.signature, validate=True)
    except ValueError as error:
        raise BadSignature(f"{_SIGNATURE} is not base64") from error
    if not signature:
        raise BadSignature(f"missing {_SIGNATURE} annotation")
    with _files(key=b"", signature=signature, claim=one.claim) as directory:
        for key in keys:
            with open(f"{directory}/key", "wb") as file:
                file.write(key)
            words = ("-verify", f"{directory}/key", "-signature", f"{directory}/signature", f"{directory}/claim")
            if _openssl(*words).returncode == 0:
                return claims.read(one.claim, _TYPE)
    raise BadSignature("cryptographic signature verification failed: invalid signature")


def sign(digest: str, name: str, key: bytes) -> Attached:
    """Return a signature by a private key (PEM). Raises InvalidSpec, Unsupported without openssl."""
    claim = claims.claim(_TYPE, digest, name)
    with _files(claim=claim) as directory:
        done = _openssl("-sign", "/dev/stdin", f"{directory}/claim", data=key)  # the key never is in a file
    if done.returncode:
        reason = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise InvalidSpec(FLAG, f"creating signature: {reason}")
    return Attached(claim=claim, signature=base64.b64encode(done.stdout).decode())


def _files(**contents: bytes) -> tempfile.TemporaryDirectory[str]:
    directory = tempfile.TemporaryDirectory(prefix="pypod-sigstore-")
    for name, content in contents.items():
        with open(f"{directory.name}/{name}", "wb") as file:
            file.write(content)
    return directory


def _openssl(*words: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    program = installed("openssl")
    if not program:
        raise Unsupported("openssl", "sigstore signatures need openssl, which is not installed", hint="install openssl")
    command = (program, "dgst", "-sha256", *words)
    return subprocess.run(command, input=data, capture_output=True, timeout=_TIMEOUT_S, check=False)


def private_key(path: str, passphrase: bytes) -> bytes:
    """Return the private key (PEM) in a file that ``cosign generate-key-pair`` or skopeo made.

    Raises InvalidSpec, and Unsupported without PyNaCl, whose secretbox it is encrypted with.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(_BYTES_LIMIT)
        return _decrypted(_sealed(content), passphrase)
    except OSError as error:
        raise InvalidSpec(FLAG, f"reading private key from {path}: {error.strerror}") from error
    except ValueError as error:
        hint = "" if passphrase else "--sign-passphrase-file FILE has the key's passphrase"
        raise InvalidSpec(FLAG, f"initializing private key: {error}", hint=hint) from error


def _sealed(content: bytes) -> dict[str, Any]:
    lines = content.decode("ascii", "replace").split("\n")
    kind = lines[0].strip().removeprefix("-----BEGIN ").removesuffix("-----")
    if kind not in _PEM_TYPES:
        raise ValueError(f"unsupported pem type: {kind}" if "BEGIN" in lines[0] else "invalid pem block")
    try:
        body = lines[1 : [line.strip() for line in lines].index(f"-----END {kind}-----")]
        return dict(json.loads(base64.b64decode("".join(body))))
    except (ValueError, TypeError) as error:
        raise ValueError("invalid pem block") from error


def _decrypted(found: dict[str, Any], passphrase: bytes) -> bytes:
    import hashlib

    try:
        kdf, cipher = found["kdf"], found["cipher"]
        names = kdf["name"], cipher["name"]
        costs = n, r, p = tuple(kdf["params"][name] for name in "Nrp")
        salt, nonce, text = (base64.b64decode(one) for one in (kdf["salt"], cipher["nonce"], found["ciphertext"]))
    except (KeyError, TypeError, binascii.Error) as error:
        raise ValueError("its parameters are incomplete") from error
    if names != ("scrypt", "nacl/secretbox") or len(nonce) != _NONCE_BYTES:
        raise ValueError(f"unknown encryption {' and '.join(map(str, names))}")
    limits = (_SCRYPT_N_LIMIT, _SCRYPT_R_LIMIT, _SCRYPT_P_LIMIT)
    if not all(type(one) is int and 0 < one <= limit for one, limit in zip(costs, limits, strict=True)):
        raise ValueError(f"its scrypt parameters are too costly: {costs}")
    memory = 128 * r * (n + p + 2)
    key = hashlib.scrypt(passphrase, salt=salt, n=n, r=r, p=p, maxmem=memory, dklen=_KEY_BYTES)
    return _pem(_opened(key, nonce, text))


def _opened(key: bytes, nonce: bytes, text: bytes) -> bytes:
    try:
        from nacl.exceptions import CryptoError
        from nacl.secret import SecretBox
    except ImportError as error:
        message = f"{FLAG}: the key is encrypted with nacl's secretbox, and PyNaCl is not installed"
        raise Unsupported(FLAG, message, hint="pip install 'pypod[sigstore]'") from error
    try:
        return bytes(SecretBox(key).decrypt(text, nonce))
    except CryptoError as error:
        raise ValueError("decrypt: encrypted: decryption failed") from error  # podman's words


def _pem(key: bytes) -> bytes:
    return b"-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(key) + b"-----END PRIVATE KEY-----\n"


def attach(destination: RegistryDestination, digest: str, one: Attached) -> None:
    """Add a signature to those of a manifest in a repository. Raises RegistryError, InvalidImage."""
    tag = tag_of(digest)
    try:
        layers = _manifest(*destination.tagged(tag)).layers
    except NotInRegistry:
        layers = ()
    claim = Descriptor(
        media_type=_MEDIA_TYPE,
        digest=digest_of(one.claim),
        size=len(one.claim),
        annotations=((_SIGNATURE, one.signature),),
    )
    layers = (*layers, claim)
    config = _config(layers)
    described = Descriptor(media_type=OCI_CONFIG, digest=digest_of(config), size=len(config))
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": described.json(),
        "layers": [layer.json() for layer in layers],
    }
    destination.put_blob(claim, [one.claim])
    destination.put_blob(described, [config])
    destination.put_tagged(tag, OCI_MANIFEST, json.dumps(manifest).encode())


def _config(layers: Iterable[Descriptor]) -> bytes:
    rootfs = {"type": "layers", "diff_ids": [layer.digest for layer in layers]}
    return json.dumps({"architecture": "", "os": "", "config": {}, "rootfs": rootfs}).encode()
