"""An image as a listing finds it: a snapshot of the store."""

from __future__ import annotations

from pypod.api import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.api.engine import Engine

__all__ = ["ImageSummary", "summaries"]


class ImageSummary:
    """An image as ``Images.summaries`` found it.

    What the store said of it then is at hand; labels, the number of containers and whether it is a step on the way to
    others are found out when they are asked for.
    """

    __slots__ = ("_listing", "_named")

    def __init__(self, named: types.Named, listing: _Listing) -> None:
        self._named = named
        self._listing = listing

    @property
    def id(self) -> str:
        """The id, all 64 digits."""
        return self._named.record.id

    @property
    def names(self) -> tuple[str, ...]:
        """Its names, each with a tag; NAME@DIGEST when it was pulled by that."""
        return self._named.names

    @property
    def digests(self) -> tuple[str, ...]:
        """What registries know it by, or would: ``docker.io/library/busybox@sha256:...``."""
        return self._named.repo_digests

    @property
    def digest(self) -> str:
        """The digest of its manifest."""
        return self._named.record.manifest

    @property
    def created_ns(self) -> int:
        """When it was made, in nanoseconds since the epoch; 0 when it does not say."""
        return self._named.record.created_ns

    @property
    def size_bytes(self) -> int:
        """The size of its layers, not packed."""
        return self._named.record.size_bytes

    @property
    def is_list(self) -> bool:
        """Whether it is no image but a list of manifests."""
        return self._named.record.is_list

    @property
    def labels(self) -> dict[str, str]:
        """The labels; none when its configuration cannot be read."""
        text = self._named.record.config
        if '"Labels"' not in text:
            return {}
        from pypod.model import plain_json

        try:
            return dict((plain_json.loads(text).get("config") or {}).get("Labels") or {})
        except (ValueError, TypeError, AttributeError):
            return {}

    @property
    def is_intermediate(self) -> bool:
        """Whether it has no name and others were made of it: a step on the way to them."""
        from pypod.engine.images.history import is_intermediate

        return is_intermediate(self._listing.engine, self._named)

    @property
    def container_count(self) -> int:
        """How many containers were made from it."""
        return self._listing.container_count(self.id)

    def __repr__(self) -> str:
        return f"<ImageSummary {next(iter(self.names), self.id[:12])}>"


class _Listing:
    """What the images of one listing share: the numbers of containers, read once and only if they are needed."""

    __slots__ = ("_counts", "engine")

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._counts: dict[str, int] | None = None

    def container_count(self, identifier: str) -> int:
        """Return how many containers were made from an image."""
        if self._counts is None:
            from pypod.store.images import container_counts

            self._counts = container_counts(self.engine.database)
        return self._counts.get(identifier, 0)


def summaries(engine: types.Engine) -> list[ImageSummary]:
    """Return every image, the newest first, lists of manifests among them."""
    from pypod.store.images import all_images

    listing = _Listing(engine)
    return [ImageSummary(one, listing) for one in all_images(engine.database)]
