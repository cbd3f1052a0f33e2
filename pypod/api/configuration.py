"""The files of containers.conf(5) that apply to the caller: which ones counted, and what was not understood."""

from __future__ import annotations

from _collections_abc import Sequence

from pypod.engine.configuration import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeVar

    from pypod.api.engine import Engine
    from pypod.model.destination import Destination

    T = TypeVar("T", str, bool, int)

__all__ = [
    "add_destination",
    "destinations",
    "details",
    "make_default_destination",
    "pull_policy",
    "remove_all_destinations",
    "remove_destination",
    "rename_destination",
    "secret_driver",
    "setting",
    "take_environment",
    "texts",
]


def details() -> Sequence[str]:
    """Return a line for each file that counted, and one for keys that are unknown in it, in podman's words."""
    from pypod.model.plain_json import quoted

    settings = current.read()
    lines = []
    for path in settings.files:
        if keys := settings.unknown.get(path):
            lines.append(f"Failed to decode the keys [{' '.join(map(quoted, keys))}] from {quoted(path)}.")
        lines.append(f"Merged system config {quoted(path)}")
    return lines


def setting(table: str, key: str, kind: type[T]) -> T | None:
    """Return what the files say about a setting of the command line itself, None for nothing."""
    found = current.read().get(table, key)
    return found if isinstance(found, kind) and found != "" else None


def texts(table: str, key: str) -> Sequence[str]:
    """Return what the files say about a setting that is a list of words, none for nothing."""
    return current.read().get(table, key) or ()


def take_environment() -> None:
    """Set the variables that the files have for the engine, unless they are set: for this process and its children."""
    import os

    for word in current.variables():
        name, equals, value = word.partition("=")
        if name and equals:  # podman only warns of others
            os.environ.setdefault(name, value)


def pull_policy(engine: Engine) -> str:
    """Return the pull policy for containers without one of their own."""
    from pypod.engine.specs import configured

    return configured.pull_policy(current.of(engine))


def secret_driver(engine: Engine) -> tuple[str, dict[str, str]]:
    """Return the driver of secrets and its options."""
    settings = current.of(engine)
    options = settings.get("secrets", "opts") or {}
    return settings.get("secrets", "driver") or "file", {name: str(value) for name, value in options.items()}


def destinations() -> Sequence[Destination]:
    """Return the services that the files name for podman's remote client, by name; pypod itself connects to none."""
    from pypod.engine.configuration.destinations import listed

    return listed()


def add_destination(
    name: str,
    destination: str,
    *,
    identity: str = "",
    port: int | None = None,
    socket_path: str = "",
    default: bool = False,
) -> str:
    """Store a service in the caller's containers.conf, replacing one of the same name; the first becomes the default.

    ``destination`` is ``ssh://[user@]host[:port]/path``, ``unix://path`` or ``tcp://host:port``; ``identity`` is the
    path of an SSH key, ``port`` counts where the destination has none, ``socket_path`` replaces its path. Returns a
    warning, or nothing. Raises InvalidSpec, and Unsupported for a host that would have to be asked for its socket.

    >>> add_destination("debug", "tcp://localhost:8080")            # doctest: +SKIP
    ''
    """
    from pypod.engine.configuration import destinations as stored

    uri = stored.address(destination, identity=identity, port=port, socket_path=socket_path)
    stored.add(name, uri, identity=identity, default=default)
    return stored.warning_about(uri)


def make_default_destination(name: str) -> None:
    """Make a service the one that is used without a name. Raises InvalidSpec when there is none."""
    from pypod.engine.configuration.destinations import make_default

    make_default(name)


def rename_destination(old: str, new: str) -> None:
    """Give a service another name, in place of a service of that name. Raises InvalidSpec when there is none."""
    from pypod.engine.configuration.destinations import rename

    rename(old, new)


def remove_destination(name: str) -> None:
    """Remove a service; it is no error if there is none."""
    from pypod.engine.configuration.destinations import remove

    remove(name)


def remove_all_destinations() -> None:
    """Remove every service."""
    from pypod.engine.configuration.destinations import remove_all

    remove_all()
