"""A change to one entry of a manifest list."""

from __future__ import annotations

from pypod.model.images.image import Descriptor, Platform
from pypod.model.value import Value


class EntryChange(Value):
    """New values for an image's entry in a list; empty fields leave it unchanged.

    ``annotations`` are added to the existing ones.

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
        """Return an entry with the change applied."""
        said = {name: value for name, value in self.items() if value and name != "annotations"}
        platform = (entry.platform or Platform(os="")).replace(**said) if said else entry.platform
        annotations = {**dict(entry.annotations), **dict(self.annotations)}
        return entry.replace(platform=platform, annotations=tuple(annotations.items()))
