"""What images, containers and volumes take of the disk."""

from __future__ import annotations

from pypod.model.value import Value


class ImageUsage(Value):
    """An image: the size of its layers, and of those among them that other images have, too."""

    id: str
    names: tuple[str, ...]
    created_ns: int
    size_bytes: int
    shared_bytes: int
    containers: int

    @property
    def unique_bytes(self) -> int:
        """What only this image takes."""
        return self.size_bytes - self.shared_bytes


class ContainerUsage(Value):
    """A container or an infra: what it has written, and how many volumes it mounts; ``status`` is that of its state."""

    id: str
    name: str
    image_id: str
    command: str
    volumes: int
    size_bytes: int
    created_ns: int
    status: str

    @property
    def active(self) -> bool:
        """Whether it is running."""
        return self.status in ("running", "paused", "stopping")


class VolumeUsage(Value):
    """A volume: the size of its files, and the number of containers that use it."""

    name: str
    links: int
    size_bytes: int


class DiskUsage(Value):
    """The usage of a storage.

    ``image_bytes`` counts a layer once that several images have; ``unused_image_bytes`` is what the removal of the
    images without containers would free.
    """

    images: tuple[ImageUsage, ...] = ()
    containers: tuple[ContainerUsage, ...] = ()
    volumes: tuple[VolumeUsage, ...] = ()
    image_bytes: int = 0
    unused_image_bytes: int = 0
