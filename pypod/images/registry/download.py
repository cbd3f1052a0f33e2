"""Download of a blob: bounded by its descriptor, resumed after a lost connection."""

from __future__ import annotations

from pypod.errors import InvalidImage, RegistryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypod.images.registry.routes import Response
    from pypod.images.registry.session import Session
    from pypod.images.registry.url import Url
    from pypod.model.images.image import Descriptor

_PIECE_BYTES = 1 << 18  # the most that a stalled connection loses
_PARTIAL, _UNSATISFIABLE = 206, 416


def pieces(
    session: Session, address: str, scopes: tuple[str, ...], descriptor: Descriptor, offset: int = 0
) -> Iterator[bytes]:
    """Yield the bytes of a blob from ``offset`` on. Raises InvalidImage for another size, RegistryError."""
    from http.client import HTTPException

    from pypod.images.registry.pace import left_after

    at, size, left = offset, descriptor.size, session.access.retries
    delay_s = session.access.retry_delay_s
    while at < size:
        response, url = _ask(session, address, scopes, descriptor, at)
        reason: Exception | None = None
        try:
            _skip(response, at if response.status != _PARTIAL else 0)
            while piece := response.read(_PIECE_BYTES):
                if at + len(piece) > size:
                    raise InvalidImage(_name(descriptor), f"it is larger than the {size} bytes of its descriptor")
                at += len(piece)
                left, delay_s = session.access.retries, session.access.retry_delay_s
                yield piece
        except (HTTPException, OSError) as error:
            reason, left = error, left_after(error, left)
        finally:
            response.release()
        if at < size:
            if not left and reason is None:
                raise InvalidImage(_name(descriptor), f"it has {at} bytes, its descriptor says {size}")
            if not left:
                hint = getattr(reason, "hint", "")
                raise RegistryError(url.shown, f"cut off after {at} of {size} bytes: {reason}", hint=hint) from reason
            left -= 1
            session.sleep(delay_s)
            delay_s *= 2


def _ask(
    session: Session, address: str, scopes: tuple[str, ...], descriptor: Descriptor, at: int
) -> tuple[Response, Url]:
    headers = {"Range": f"bytes={at}-"} if at else {}
    response, url = session.open("GET", address, scopes=scopes, headers=headers, expected=(200, *_ranges(at)))
    size = descriptor.size
    stated = response.headers.get("Content-Length", "")
    if response.status == _UNSATISFIABLE:
        response.close()
        raise InvalidImage(_name(descriptor), f"it has no more than {at} bytes, its descriptor says {size}")
    if response.status == _PARTIAL and not _fits(response.headers.get("Content-Range", ""), at, size):
        response.close()
        found = ascii(response.headers.get("Content-Range", "")[:100])
        raise RegistryError(url.shown, f"asked for bytes {at}- of {size}, got the range {found}")
    if response.status == 200 and stated.isdecimal() and int(stated[:20]) != size:
        response.close()
        raise InvalidImage(_name(descriptor), f"it has {stated[:20]} bytes, its descriptor says {size}")
    return response, url


def _ranges(at: int) -> tuple[int, ...]:
    return (_PARTIAL, _UNSATISFIABLE) if at else ()


def _fits(text: str, at: int, size: int) -> bool:
    """Return whether Content-Range (RFC 9110, section 14.4) starts at ``at``, of ``size`` bytes or unknown."""
    unit, _, rest = text.strip().partition(" ")
    span, _, whole = rest.partition("/")
    first, _, last = span.strip().partition("-")
    numbers = first.isdecimal() and last.isdecimal() and len(first) < 20 and len(last) < 20
    return unit.lower() == "bytes" and numbers and at == int(first) <= int(last) < size and whole in (str(size), "*")


def _skip(response: Response, count: int) -> None:
    """Skip the bytes that we have, when a server sends the whole blob although a range was requested."""
    while count:
        piece = response.read(min(count, _PIECE_BYTES))
        if not piece:
            return
        count -= len(piece)


def _name(descriptor: Descriptor) -> str:
    return f"blob {descriptor.digest}"
