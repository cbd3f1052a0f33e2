"""Download of a file by URL, for ``load`` and ``import``: no registry, no credentials."""

from __future__ import annotations

from pypod.errors import RegistryError
from pypod.images.new_file import PIECE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypod.images.registry.routes import Response
    from pypod.images.registry.transport import Transport


def fetched(url: str) -> Iterator[bytes]:
    """Yield the bytes at a URL; redirects are followed. Raises RegistryError."""
    from http.client import HTTPException

    from pypod.images.registry.access import Access
    from pypod.images.registry.transport import Transport, in_words

    transport = Transport(Access(), "", verify=True)
    try:
        answer = _answer(transport, url)
        try:
            while piece := answer.read(PIECE_BYTES):
                yield piece
        finally:
            answer.close()
    except (HTTPException, OSError) as error:
        raise RegistryError(url, f"no answer: {in_words(error)}") from error
    finally:
        transport.close()


def _answer(transport: Transport, address: str) -> Response:
    from pypod.images.registry.transport import REDIRECTS, REDIRECTS_LIMIT
    from pypod.images.registry.url import parse_url

    url = parse_url(address)
    for _ in range(REDIRECTS_LIMIT + 1):
        answer = transport.send("GET", url, {})
        if answer.status == 200:
            return answer
        location = answer.headers.get("Location")
        answer.close()
        if answer.status not in REDIRECTS or not location:
            raise RegistryError(address, f"the server answers {answer.status} {answer.reason}", status=answer.status)
        url = url.at(location)
    raise RegistryError(address, f"more than {REDIRECTS_LIMIT} redirects")
