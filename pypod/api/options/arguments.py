"""Arguments that accompany options (a pod, an image, an engine): their help and their parsers."""

from __future__ import annotations

import os
from _collections_abc import Sequence

from pypod.api import types
from pypod.model.options.fields import about
from pypod.model.options.readers import Unfit, words

ENGINE = about("The engine to use; the default is one on the default storage directory", flag="")
EPHEMERAL = about("Whether it ends with this process", flag="")
POD = about("The pod that it becomes a member of", flag="")


def image(value: types.Image | str | Sequence[str | os.PathLike[str]]) -> types.Image | str | Sequence[str]:
    if isinstance(value, str | tuple | list):  # without the modules of images, which a command need not load
        return words(value) or ()
    from pypod.api.images.image import Image

    return value if isinstance(value, Image) else words(value) or ()


def other_image(value: types.Image | str) -> types.Image | str:
    from pypod.api.images.image import Image

    if not isinstance(value, Image | str):
        raise Unfit("a string or an Image")
    return value


def pod(value: types.Pod | str | None) -> types.Pod | str | None:
    if isinstance(value, str | None):
        return value
    from pypod.api.pod import Pod

    if not isinstance(value, Pod):
        raise Unfit("a string or a Pod")
    return value


def engine(value: types.Engine | None) -> types.Engine | None:
    from pypod.api.engine import Engine

    if not isinstance(value, Engine | None):
        raise Unfit("an Engine")
    return value
