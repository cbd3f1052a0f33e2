"""How far a transfer of an image is."""

from __future__ import annotations

from pypod.model.value import Value


class Progress(Value):
    """How far one blob is: ``state`` is present, pulling, pushing or done; sizes in bytes, as stored in the source.

    Before the blobs of an image come ``trying`` for one from a registry, and ``loading`` for one of several in an
    archive; of a list of manifests ``listing``, then ``copying`` before each image, and ``listed``. These have a
    ``name`` instead of a digest.
    """

    digest: str = ""
    state: str
    done_bytes: int = 0
    total_bytes: int = 0
    is_config: bool = False
    name: str = ""
