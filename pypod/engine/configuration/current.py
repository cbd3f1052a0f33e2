"""The settings of containers.conf(5) that apply now, read anew when a file has changed."""

from __future__ import annotations

import os

from pypod.engine.configuration import files
from pypod.engine.core.boundary import Boundary
from pypod.kernel.idmap import in_user_namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.configuration.files import Settings
    from pypod.engine.core.context import Context


def of(context: Context) -> Settings:
    """Return the settings for this process. Raises InvalidSpec, naming file, table and key."""
    with Boundary("read containers.conf"):
        paths = files.locate(os.environ, rootless=context.rootless)
        stamp = files.stamp(paths)
        if context.known_settings is None or context.known_settings[0] != stamp:
            context.known_settings = stamp, files.read(paths)
        return context.known_settings[1]


def read() -> Settings:
    """Return the settings without an engine."""
    with Boundary("read containers.conf"):
        return files.read(files.locate(os.environ, rootless=in_user_namespace()))
