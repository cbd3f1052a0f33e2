"""The settings of containers.conf(5) that apply now, read anew when a file has changed."""

from __future__ import annotations

import os

from pypod.engine.configuration import files
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.context import EVENTS_VARIABLE
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


def events_backend(context: Context) -> str:
    """Return where events go: what $PYPOD_EVENTS_BACKEND says, or the files. Every command that changes something asks.

    Raises InvalidSpec for a value that does not exist.
    """
    asked = os.environ.get(EVENTS_VARIABLE, "")
    if asked:
        return asked
    with Boundary("read containers.conf"):
        if not files.mention(files.locate(os.environ, rootless=context.rootless), "events_logger"):
            return ""
    return str(of(context).get("engine", "events_logger") or "").lower()


def variables() -> tuple[str, ...]:
    """Return the variables of the engine itself, without reading files that mention none. Raises InvalidSpec."""
    with Boundary("read containers.conf"):
        paths = files.locate(os.environ, rootless=in_user_namespace())
        return files.read(paths).get("engine", "env") or () if files.mention(paths, "env") else ()


def read() -> Settings:
    """Return the settings without an engine."""
    with Boundary("read containers.conf"):
        return files.read(files.locate(os.environ, rootless=in_user_namespace()))
