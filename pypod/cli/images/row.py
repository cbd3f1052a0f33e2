"""One name of an image as a row of ``images``, with cells that are computed on demand.
The names of cells are podman's placeholders (podman-images(1))."""

from __future__ import annotations

from pypod.cli.go.values import Struct, go_time
from pypod.cli.render.output import Column, human_ago, human_size
from pypod.model.ids import SHORT_ID_LENGTH
from pypod.model.moment import rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pypod.api.images.summary import ImageSummary

__all__ = ["FIELDS", "TITLES", "ImageListing", "ImageRow", "as_json", "columns", "spaced_size"]

_NONE = "<none>"
_SECOND_NS = 1_000_000_000


class ImageListing:
    """How to show the rows of one listing."""

    def __init__(self, now_ns: int, *, truncate: bool = True) -> None:
        self.now_ns = now_ns
        self.truncate = truncate


class ImageRow(Struct):
    """An image under one of its names; ``row["ID"]`` is a cell."""

    type_name = "images.imageReporter"

    def __init__(self, image: ImageSummary, name: str, listing: ImageListing) -> None:
        self.image = image
        self.listing = listing
        repository, at, _ = name.partition("@")  # pulled by digest: there is no tag
        self.repository, _, self.tag = (repository, "", "") if at else name.rpartition(":")

    def __missing__(self, key: str) -> Any:
        value = self[key] = FIELDS[key](self)
        return value

    @property
    def created_s(self) -> int:
        """The creation time: podman shows whole seconds."""
        return self.image.created_ns // _SECOND_NS


def rows_of(images: list[ImageSummary], listing: ImageListing) -> list[ImageRow]:
    """Return a row for each tagged name; for an image without one, a row with its first name or an empty name."""
    tagged = ([name for name in one.names if "@" not in name] or one.names[:1] or ("",) for one in images)
    return [ImageRow(one, name, listing) for one, names in zip(images, tagged, strict=True) for name in names]


def spaced_size(size_bytes: int) -> str:
    """Return a size as podman's listings of images show it: ``22.1 kB``."""
    text = human_size(size_bytes, precision=3)
    digits = text.rstrip("kMGTPEZYB")
    return f"{digits} {text[len(digits) :]}"


def _id(row: ImageRow) -> str:
    return row.image.id[:SHORT_ID_LENGTH] if row.listing.truncate else f"sha256:{row.image.id}"


def _ago(row: ImageRow) -> str:
    return human_ago(row.listing.now_ns / _SECOND_NS - row.created_s)


def _time(row: ImageRow) -> str:
    return go_time(row.created_s * _SECOND_NS)


def _labels(row: ImageRow) -> dict[str, str]:
    from pypod.cli.go.values import NilMap

    return row.image.labels or NilMap()


FIELDS: dict[str, Callable[[ImageRow], Any]] = {
    "Containers": lambda row: row.image.container_count,
    "Created": _ago,
    "CreatedAt": _time,
    "CreatedSince": _ago,
    "CreatedTime": _time,
    "Dangling": lambda row: not row.image.names,
    "Digest": lambda row: row.image.digest,
    "History": lambda row: ", ".join(row.image.past_names),
    "ID": _id,
    "Id": lambda row: row.image.id,
    "IsDangling": lambda row: not row.image.names,
    "IsReadOnly": lambda _: False,
    "Labels": _labels,
    "Names": lambda row: list(row.image.names),
    "ParentId": lambda _: "",
    "ReadOnly": lambda _: False,
    "RepoDigests": lambda row: list(row.image.digests),
    "RepoTags": lambda row: list(row.image.names),
    "Repository": lambda row: row.repository or _NONE,
    "SharedSize": lambda _: 0,
    "Size": lambda row: spaced_size(row.image.size_bytes),
    "Tag": lambda row: row.tag or _NONE,
    "VirtualSize": lambda row: row.image.size_bytes,
}
# Headings that are not the placeholder's name in words (podman: cmd/podman/images/list.go).
TITLES = {"ID": "image id", "CreatedSince": "created", "ReadOnly": "r/o"}


def columns(*, digests: bool = False, history: bool = False) -> list[Column]:
    """Return the columns of the table."""
    pairs = [("Repository", "REPOSITORY"), ("Tag", "TAG")]
    pairs += [("Digest", "DIGEST")] if digests else []
    pairs += [("ID", "IMAGE ID"), ("Created", "CREATED"), ("Size", "SIZE")]
    pairs += [("History", "HISTORY")] if history else []
    return [Column(key=key, title=title) for key, title in pairs]


def as_json(image: ImageSummary) -> Struct:
    """Return an image as ``--format json`` shows it, once for each row: an entry with all its names."""
    names = list(image.names)
    created_s = image.created_ns // _SECOND_NS
    found = Struct(
        Id=image.id,
        ParentId="",
        RepoTags=None,
        RepoDigests=list(image.digests),
        Size=image.size_bytes,
        SharedSize=0,
        VirtualSize=image.size_bytes,
        Labels=image.labels or None,
        Containers=image.container_count,
    )
    if names:
        found["Names"] = names
    else:
        found["Dangling"] = True
    found.update(
        Digest=image.digest,
        History=list(image.past_names),
        Created=created_s,
        CreatedAt=rfc3339(created_s * _SECOND_NS),
    )
    return found
