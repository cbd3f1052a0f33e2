"""The names of objects that shell completion offers: containers, pods, images and so on, from the store."""

from __future__ import annotations

from pypod.errors import PypodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pypod.api.engine import Engine

    Candidate = tuple[str, str]  # the word and its description

__all__ = ["Store", "starting"]

_SHORT = 12


def starting(current: str, candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return the candidates that begin with a word."""
    return [one for one in candidates if one[0].startswith(current)]


class Store:
    """The names of objects in a storage; none when there is no storage, or when it cannot be read."""

    def __init__(self, root: str | None) -> None:
        self._root = root
        self._engine: Engine | None = None

    def names(self, kind: str, current: str, states: tuple[str, ...] = ()) -> list[Candidate]:
        """Return the objects of a kind whose name, or short id, begins with ``current``."""
        look = _LOOKS.get(kind)
        if look is None:
            return []
        try:
            return look(self._open(), current, states)
        except (PypodError, FileNotFoundError):
            return []

    def _open(self) -> Engine:
        if self._engine is None:
            from pypod.api.engine import Engine
            from pypod.api.session import has_storage

            if not has_storage(self._root):
                raise FileNotFoundError(self._root)
            self._engine = Engine(self._root)
        return self._engine


def _either(current: str, names: Iterable[tuple[str, str, str]]) -> list[Candidate]:
    """Return names, or short ids, that begin with ``current``, of (id, name, description)."""
    found = []
    for identifier, name, text in names:
        if name.startswith(current):
            found.append((name, text))
        elif len(current) > 1 and identifier.startswith(current):
            found.append((identifier[: max(_SHORT, len(current))], text or name))
    return found


def _containers(engine: Engine, current: str, states: tuple[str, ...]) -> list[Candidate]:
    pods = {pod.id: pod.name for pod in engine.pods.list()}
    summaries = [one for one in engine.containers.summaries() if not states or one.state.status in states]
    return _either(current, [(one.id, one.name, pods.get(one.pod_id, "")) for one in summaries])


def _pods(engine: Engine, current: str, states: tuple[str, ...]) -> list[Candidate]:
    found = [one for one in engine.pods.summaries() if not states or one.status in states]
    return _either(current, [(one.id, one.name, "") for one in found])


def _images(engine: Engine, current: str, _: tuple[str, ...]) -> list[Candidate]:
    found: list[Candidate] = []
    for one in engine.images.summaries():
        names = [name for full in one.names for name in _endings(full, current) if name.startswith(current)]
        found += [(name, "") for name in names]
        if not names and len(current) > 1 and one.id.startswith(current):
            found.append((one.id[: max(_SHORT, len(current))], ""))
    return found


def _endings(name: str, current: str) -> list[str]:
    """Return a name, and if the user has begun to write one, also what follows each of its slashes."""
    parts = name.split("/") if current else [name]
    return ["/".join(parts[at:]) for at in range(len(parts))]


def _lists(engine: Engine, current: str, states: tuple[str, ...]) -> list[Candidate]:
    lists = {name for one in engine.images.summaries() if one.is_list for name in one.names}
    return [one for one in _images(engine, current, states) if any(name.endswith(one[0]) for name in lists)]


def _networks(engine: Engine, current: str, _: tuple[str, ...]) -> list[Candidate]:
    return _either(current, [(one.id, one.name, one.driver) for one in engine.networks.specs()])


def _secrets(engine: Engine, current: str, _: tuple[str, ...]) -> list[Candidate]:
    return _either(current, [(one.id, one.name, "") for one in engine.secrets.list()])


def _volumes(engine: Engine, current: str, _: tuple[str, ...]) -> list[Candidate]:
    return starting(current, [(one.name, "") for one in engine.volumes.records()])


def _descriptors(_engine: Engine, current: str, _: tuple[str, ...]) -> list[Candidate]:
    from pypod.cli.containers.top import DESCRIPTORS

    before, comma, begun = current.rpartition(",")
    return [(f"{before}{comma}{one}", "") for one in DESCRIPTORS if one.startswith(begun)]


_LOOKS: dict[str, Callable[[Engine, str, tuple[str, ...]], list[Candidate]]] = {
    "CONTAINER": _containers,
    "FORMAT-DESCRIPTORS": _descriptors,
    "IMAGE": _images,
    "LIST": _lists,
    "MANIFEST": _lists,
    "NETWORK": _networks,
    "POD": _pods,
    "SECRET": _secrets,
    "VOLUME": _volumes,
}
