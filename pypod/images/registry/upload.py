"""Upload to a registry (distribution-spec: Push): a session, a whole blob in one PUT, then the manifest."""

from __future__ import annotations

from pypod.errors import InvalidImage, RegistryError
from pypod.images.registry.session import finish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pypod.images.registry.routes import Response
    from pypod.images.registry.session import Session
    from pypod.images.registry.url import Url
    from pypod.model.images.image import Descriptor

_BUFFERED_BYTES = 1 << 20  # blobs up to this size are sent, and resent, from memory


def has_blob(session: Session, descriptor: Descriptor) -> bool:
    """Return whether the repository has the blob."""
    response, _ = session.open(
        "HEAD", f"{_repository(session)}/blobs/{descriptor.digest}", scopes=_push(session), expected=(200, 404)
    )
    finish(response)
    stated = response.headers.get("Content-Length", "")
    # A blob of another size is incomplete or wrong; uploading it again will show.
    return response.status == 200 and stated in ("", str(descriptor.size))


def mount(session: Session, descriptor: Descriptor, source: str) -> bool:
    """Have the registry mount the blob from its repository ``source``; return whether it did."""
    address = f"{_repository(session)}/blobs/uploads/?mount={descriptor.digest}&from={source}"
    scopes = (*_push(session), f"repository:{source}:pull")
    try:
        response, url = session.open("POST", address, scopes=scopes, expected=(201, 202), body=b"")
    except RegistryError:  # also when this user may not read there: it is uploaded instead
        return False
    finish(response)
    if response.status == 201:
        return True
    _cancel(session, response, url)
    return False


def put_blob(session: Session, descriptor: Descriptor, pieces: Iterable[bytes]) -> None:
    """Send a blob. Raises InvalidImage when the pieces do not have the descriptor's size, RegistryError."""
    from pypod.images.registry.pace import left_after

    if descriptor.size <= _BUFFERED_BYTES:
        pieces = [b"".join(_exactly(descriptor, pieces))]
    again = iter(pieces) is not pieces
    left = session.access.retries if again else 0
    delay_s = session.access.retry_delay_s
    while True:
        try:
            _put_once(session, descriptor, pieces)
        except RegistryError as error:
            left = left_after(error, left)
            if not left or 400 <= error.status < 500:
                raise
            left -= 1
            session.sleep(delay_s)
            delay_s *= 2
        else:
            return


def put_manifest(session: Session, media_type: str, body: bytes, version: str) -> None:
    """Send a manifest or an index under a tag or a digest; it is visible from now on."""
    response, url = session.open(
        "PUT",
        f"{_repository(session)}/manifests/{version}",
        scopes=_push(session),
        headers={"Content-Type": media_type},
        body=body,
        expected=(200, 201, 202),
    )
    finish(response)
    from hashlib import sha256

    stated = response.headers.get("Docker-Content-Digest", "")
    if stated.startswith("sha256:") and stated != f"sha256:{sha256(body).hexdigest()}":
        raise RegistryError(url.shown, f"the registry stored something else: {stated[:100]!a}")


def _put_once(session: Session, descriptor: Descriptor, pieces: Iterable[bytes]) -> None:
    address = f"{_repository(session)}/blobs/uploads/"
    response, url = session.open("POST", address, scopes=_push(session), body=b"", expected=(202,))
    finish(response)
    upload = _location(session, response, url)
    joined = f"{upload.query}&" if upload.query else ""
    target = upload.replace(query=f"{joined}digest={descriptor.digest}")
    response, _ = session.open(
        "PUT",
        str(target),
        scopes=_push(session),
        headers={"Content-Type": "application/octet-stream", "Content-Length": str(descriptor.size)},
        body=_exactly(descriptor, pieces),
        expected=(201,),
    )
    finish(response)


def _exactly(descriptor: Descriptor, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces, and fail before the registry could accept too few or too many bytes as the blob."""
    left = descriptor.size
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            break
        if piece:
            yield piece
    if left:
        raise InvalidImage(f"blob {descriptor.digest}", f"its content does not have the size {descriptor.size}")


def _cancel(session: Session, response: Response, url: Url) -> None:
    """Cancel an upload that was opened instead of a mount; where that fails, the registry will expire it."""
    try:
        upload = _location(session, response, url)
        finish(session.open("DELETE", str(upload), scopes=_push(session), expected=(200, 202, 204))[0])
    except RegistryError:
        return


def _location(session: Session, response: Response, url: Url) -> Url:
    location = response.headers.get("Location")
    if not location:
        raise RegistryError(url.shown, "the registry does not say where to send the blob")
    return session.resolve(url, location)


def _repository(session: Session) -> str:
    return f"/v2/{session.endpoint.repository}"


def _push(session: Session) -> tuple[str, ...]:
    return (f"repository:{session.endpoint.repository}:pull,push",)
