"""What creating a pod takes."""

from __future__ import annotations

import attrs
from attrs import field

from pypod.api import types
from pypod.api.options import arguments as read
from pypod.model.options.fields import about
from pypod.model.options.pod import PodOptions


@attrs.frozen(slots=False, eq=False, repr=False)
class CreatePodOptions(PodOptions):
    """Of ``Pods.create``."""

    name: str = field(default="", metadata=about("Its name; without it one that is free", flag=""))
    infra_image: types.Image | str = field(
        default="",
        converter=read.image_of_infra,
        kw_only=True,
        metadata=about("An image whose command is run as the infra, in the image's files", kind="string"),
    )
    ephemeral: bool = field(default=False, kw_only=True, metadata=read.EPHEMERAL)


@attrs.frozen(kw_only=True, slots=False, eq=False, repr=False)
class NewPodOptions(CreatePodOptions):
    """Of ``Pod.create``."""

    engine: types.Engine | None = field(default=None, converter=read.engine, metadata=read.ENGINE)
