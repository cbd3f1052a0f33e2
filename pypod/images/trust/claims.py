"""Claims about images, which are what is signed: JSON with a manifest's digest and a name (containers-signature(5))."""

from __future__ import annotations

import json
import time

from pypod import __version__


class BadSignature(Exception):
    """A signature is not accepted; the message is the reason."""


def claim(kind: str, digest: str, name: str) -> bytes:
    """Return the claim of this ``kind`` that the name belongs to the manifest with this digest."""
    critical = {
        "type": kind,
        "image": {"docker-manifest-digest": digest},
        "identity": {"docker-reference": name},
    }
    optional = {"creator": f"pypod {__version__}", "timestamp": int(time.time())}
    return json.dumps({"critical": critical, "optional": optional}).encode()


def read(signed: bytes, kind: str) -> tuple[str, str]:
    """Return the digest and the name of a claim of this ``kind``. Raises BadSignature."""
    try:
        critical = json.loads(signed)["critical"]
        stated = critical["type"]
        found = critical["image"]["docker-manifest-digest"], critical["identity"]["docker-reference"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadSignature("Invalid signature: its content is not a claim about an image") from error
    if stated != kind or not all(isinstance(one, str) for one in found):
        raise BadSignature(f"Unrecognized signature type {stated}")
    return found
