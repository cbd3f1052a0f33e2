"""Progress of an image transfer."""

from __future__ import annotations

from pypod.model.value import Value


class Progress(Value):
    """Progress of one blob: ``state`` is present, pulling, pushing or done; sizes in bytes, as stored at the source.

    Before the blobs of an image, ``resolved`` is reported for a short name, ``trying`` for each candidate in a
    registry, and ``loading`` for each of several images in an archive; for a manifest list ``listing``, then
    ``copying`` before each image, and ``listed``. These have a ``name`` instead of a digest.
    """

    digest: str = ""
    state: str
    done_bytes: int = 0
    total_bytes: int = 0
    is_config: bool = False
    name: str = ""
