"""What is changed of one entry of a list of manifests."""

from __future__ import annotations

from pypod.model.image import Descriptor, Platform
from pypod.model.value import Value


class EntryChange(Value):
    """What a list is to say of an image, in place of what it said or was found; empty fields say nothing.

    ``annotations`` are added to those that are there.

    >>> entry = Descriptor(media_type="", digest="", size=0, platform=Platform(architecture="arm"))
    >>> str(EntryChange(variant="v7").applied(entry).platform)
    'linux/arm/v7'
    """

    os: str = ""
    architecture: str = ""
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()

    def applied(self, entry: Descriptor) -> Descriptor:
        """Return an entry with the change."""
        said = {name: value for name, value in self.items() if value and name != "annotations"}
        platform = (entry.platform or Platform(os="")).replace(**said) if said else entry.platform
        annotations = {**dict(entry.annotations), **dict(self.annotations)}
        return entry.replace(platform=platform, annotations=tuple(annotations.items()))
