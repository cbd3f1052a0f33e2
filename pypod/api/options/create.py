"""The options for creating a container."""

from __future__ import annotations

from _collections_abc import Sequence

from pypod.api import types
from pypod.api.options import arguments as read
from pypod.model.options.classes import field, frozen
from pypod.model.options.container import ContainerOptions
from pypod.model.options.fields import about
from pypod.model.options.limits import LimitOptions
from pypod.model.options.readers import words

_COMMAND = about("The command to run; the default is the image's", flag="")
_IMAGE = about("The image, or its name; with rootfs the command", flag="")
_PULL = about("When to pull the image: always, missing, never, newer", flag="")


@frozen()
class MemberOptions(ContainerOptions):
    """Options of a container whose pod is known, or that has none."""

    image: types.Image | str | Sequence[str] = field(default=(), converter=read.image, metadata=_IMAGE)
    command: str | Sequence[str] | None = field(default=None, converter=words, metadata=_COMMAND)
    pull: str = field(
        default="missing",
        kw_only=True,
        metadata=_PULL,
    )


@frozen(kw_only=True)
class CreateOptions(MemberOptions):
    """Options of ``Containers.create`` and ``Containers.run``."""

    pod: types.Pod | str | None = field(default=None, converter=read.pod, metadata=read.POD)
    ephemeral: bool = field(default=False, metadata=read.EPHEMERAL)


@frozen()
class CloneOptions(LimitOptions):
    """Options of ``Container.clone``."""

    name: str = field(default="", metadata=about("Set a custom name for the cloned container"))
    image: types.Image | str = field(
        default="", kw_only=True, converter=read.other_image, metadata=about("Another image, or its name", flag="")
    )
    pod: types.Pod | str | None = field(default=None, kw_only=True, converter=read.pod, metadata=read.POD)
