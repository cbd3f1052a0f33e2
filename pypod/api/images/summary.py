"""Images in listings: snapshots of the store."""

from __future__ import annotations

from pypod.api import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.api.engine import Engine

__all__ = ["ImageSummary", "summaries"]


class ImageSummary:
    """An image as ``Images.summaries`` found it.

    The data from the store are as of then; labels, the number of containers and whether it is an intermediate image are
    read on access.
    """

    __slots__ = ("_listing", "_named")

    def __init__(self, named: types.Named, listing: _Listing) -> None:
        self._named = named
        self._listing = listing

    @property
    def id(self) -> str:
        """The full id, 64 digits."""
        return self._named.record.id

    @property
    def names(self) -> tuple[str, ...]:
        """Its names, each with a tag; NAME@DIGEST when it was pulled by digest."""
        return self._named.names

    @property
    def past_names(self) -> tuple[str, ...]:
        """Its names, the newest first, followed by those that it had before."""
        from pypod.store.images import with_past_names

        return with_past_names(self.names, self._listing.given_names(self.id))

    @property
    def digests(self) -> tuple[str, ...]:
        """Its names by digest, as registries have or would have them: ``docker.io/library/busybox@sha256:...``."""
        return self._named.repo_digests

    @property
    def digest(self) -> str:
        """The digest of its manifest."""
        return self._named.record.manifest

    @property
    def created_ns(self) -> int:
        """The time of creation, in nanoseconds since the epoch; 0 if the image does not state it."""
        return self._named.record.created_ns

    @property
    def size_bytes(self) -> int:
        """The size of its layers, uncompressed."""
        return self._named.record.size_bytes

    @property
    def is_list(self) -> bool:
        """Whether it is a manifest list rather than an image."""
        return self._named.record.is_list

    @property
    def labels(self) -> dict[str, str]:
        """The labels; empty when its configuration cannot be read."""
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
        """Whether it has no name and other images were built from it."""
        from pypod.engine.images.history import is_intermediate

        return is_intermediate(self._listing.engine, self._named)

    @property
    def container_count(self) -> int:
        """The number of containers created from it."""
        return self._listing.container_count(self.id)

    def __repr__(self) -> str:
        return f"<ImageSummary {next(iter(self.names), self.id[:12])}>"


class _Listing:
    """The data that the images of one listing share: numbers of containers and past names, read when first needed."""

    __slots__ = ("_counts", "_given", "engine")

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._counts: dict[str, int] | None = None
        self._given: dict[str, list[str]] | None = None

    def container_count(self, identifier: str) -> int:
        """Return the number of containers created from an image."""
        if self._counts is None:
            from pypod.store.images import container_counts

            self._counts = container_counts(self.engine.database)
        return self._counts.get(identifier, 0)

    def given_names(self, identifier: str) -> list[str]:
        """Return the names that an image ever had."""
        if self._given is None:
            from pypod.store.images import given_names

            self._given = given_names(self.engine.database)
        return self._given.get(identifier, [])


def summaries(engine: types.Engine) -> list[ImageSummary]:
    """Return a summary of every image, newest first, manifest lists included."""
    from pypod.store.images import all_images

    listing = _Listing(engine)
    return [ImageSummary(one, listing) for one in all_images(engine.database)]
