"""The options for creating a pod."""

from __future__ import annotations

from pypod.api import types
from pypod.api.options import arguments as read
from pypod.model.options.classes import field, frozen
from pypod.model.options.fields import about
from pypod.model.options.pod import InfraOptions, PodOptions


@frozen()
class CreatePodOptions(PodOptions):
    """Options of ``Pods.create``."""

    name: str = field(default="", metadata=about("The name of the pod; the default is a generated one", flag=""))
    infra_image: types.Image | str = field(
        default="",
        converter=read.other_image,
        kw_only=True,
        metadata=about("The image whose command is run as the infra, in its root file system", kind="string"),
    )
    ephemeral: bool = field(default=False, kw_only=True, metadata=read.EPHEMERAL)


@frozen(kw_only=True)
class NewPodOptions(CreatePodOptions):
    """Options of ``Pod.create``."""

    engine: types.Engine | None = field(default=None, converter=read.engine, metadata=read.ENGINE)


@frozen()
class ClonePodOptions(InfraOptions):
    """Options of ``Pod.clone``."""

    name: str = field(default="", metadata=about("Name the new pod", short="n"))
