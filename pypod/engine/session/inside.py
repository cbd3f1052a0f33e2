"""Python inside a user's session, for what is done with files whose owners are none of the caller's ids.

To commit, export and compare, and to measure what a container wrote, files are read that belong to users of containers.
This process cannot, and it may be threaded: it starts another one inside, which does the whole task with the library
and answers with pickles. Both ends are ours.
"""

from __future__ import annotations

import os
import sys

from pypod.errors import SystemFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from typing import IO, Any

    from pypod.api.container import Container
    from pypod.api.engine import Engine
    from pypod.api.image import Image
    from pypod.api.options import CommitOptions
    from pypod.engine.session.id_maps import Maps

_RESULT, _PIECE, _ERROR = "result", "piece", "error"


def is_needed(engine: Engine) -> bool:
    """Return whether this process lacks the ids that files of containers may have."""
    return engine.rootless and not engine.inside


def call(engine: Engine, task: str, *arguments: object, environment: Mapping[str, str] | None = None) -> Any:
    """Have a task of ``TASKS`` done inside and return what it returns. Raises what it raises.

    ``environment`` is added to the process's (pause/inside.c).
    """
    answers = _answers(engine, task, arguments, environment)
    try:
        for kind, value in answers:
            if kind == _RESULT:
                return value
    finally:
        answers.close()
    raise SystemFailure(task, 0, f"{task}: the process in the user's session ended before it could answer")


def stream(engine: Engine, task: str, *arguments: object) -> Iterator[bytes]:
    """Have a task done inside that yields bytes, and yield them as they come."""
    answers = _answers(engine, task, arguments)
    try:
        for kind, value in answers:
            if kind == _RESULT:
                return
            yield value
    finally:
        answers.close()
    raise SystemFailure(task, 0, f"{task}: the process in the user's session ended before it could answer")


def _answers(
    engine: Engine, task: str, arguments: tuple[object, ...], environment: Mapping[str, str] | None = None
) -> Generator[tuple[str, Any], None, None]:
    import pickle

    from pypod.runtime.launcher import reap

    pid, asked, answered = _spawn(engine, environment or {})
    try:
        with open(answered, "rb") as answers:
            with open(asked, "wb") as request:
                pickle.dump((sys.path, engine.layout.root, task, arguments), request)
            while True:
                try:
                    kind, value = pickle.load(answers)  # noqa: S301
                except EOFError:
                    return
                if kind == _ERROR:
                    raise value
                yield kind, value
    finally:
        reap(pid)  # without a reader it ends soon


def _spawn(engine: Engine, more: Mapping[str, str]) -> tuple[int, int, int]:
    """Start the other process; return its pid, and the descriptors of what it reads and writes."""
    from pypod.engine.session import session
    from pypod.kernel import programs
    from pypod.kernel.children import move_up

    command = ["pypod-inside", *programs.python(__name__)]
    environment = {**os.environ, **session.environment(engine), **more}
    fds: list[int] = []
    try:
        for _ in range(2):
            fds += map(move_up, os.pipe2(os.O_CLOEXEC))
        reads, asked, answered, writes = fds
        actions = [(os.POSIX_SPAWN_DUP2, reads, 0), (os.POSIX_SPAWN_DUP2, writes, 1)]
        null = (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_RDWR, 0)
        pid = os.posix_spawn(programs.path("inside"), command, environment, file_actions=[*actions, null])
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    for fd in (reads, writes):
        os.close(fd)
    return pid, asked, answered


def main() -> None:
    """Entry of the process inside: a task on stdin, answers on stdout."""
    import pickle

    from pypod.api.engine import Engine

    answers: IO[bytes] = sys.stdout.buffer
    sys.path[:], root, task, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301
    try:
        with Engine(root) as engine:
            engine.at_bridges = os.environ.pop("PYPOD_SESSION_NETWORK", "") != ""
            found = TASKS[task](engine, *arguments)
            if hasattr(found, "__next__"):
                for piece in found:
                    pickle.dump((_PIECE, piece), answers)
                found = None
        pickle.dump((_RESULT, found), answers)
    except BrokenPipeError:  # nobody reads any more, nor shall the interpreter's end complain of what it cannot flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), answers.fileno())
    except Exception as error:  # the other end raises it
        pickle.dump((_ERROR, error), answers)
    answers.flush()


def move(engine: Engine, source: str, target: str) -> None:
    """Rename a directory. Into another one that needs the right to write to it: its ``..`` changes (vfs_rename)."""
    try:
        os.rename(source, target)
    except PermissionError:  # the root of an image is some other id's, or is not to be written to (0555)
        if not is_needed(engine):
            raise
        call(engine, "move", source, target)


def changes(one: Container | Image, base: Container | Image | None) -> list[tuple[str, str]]:
    """Have a container or an image compared inside; see ``Image.changes``."""
    found: list[tuple[str, str]] = call(one.engine, "changes", _reference(one), _reference(base))
    return found


def commit(container: Container, name: str, options: CommitOptions) -> Image:
    """Have an image made of a container inside; see ``Container.commit``."""
    from pypod.api.image import Image
    from pypod.model.reference import full_name

    sent = {key: value for key, value in options.items() if key != "progress"}  # how it goes is not told from there
    identifier = call(container.engine, "commit", container.id, name, sent)
    return Image(container.engine, identifier, full_name(name) if name else "")


def _reference(one: Container | Image | None) -> tuple[str, str] | None:
    """Return what names a container or an image in a task."""
    return None if one is None else (type(one).__name__, one.id)


def _named(engine: Engine, reference: tuple[str, str] | None) -> Any:
    if reference is None:
        return None
    kind, identifier = reference
    return engine.containers.get(identifier) if kind == "Container" else engine.images.get(identifier)


def _commit(engine: Engine, identifier: str, name: str, options: dict[str, Any]) -> str:
    return engine.containers.get(identifier).commit(name, **options).id


def _export(engine: Engine, identifier: str) -> Iterator[bytes]:
    return engine.containers.get(identifier).export()


def _changes(engine: Engine, one: tuple[str, str], base: tuple[str, str] | None) -> list[tuple[str, str]]:
    return list(_named(engine, one).changes(_named(engine, base)))


def _settle(engine: Engine, directory: str, layer: Any, lowers: list[str]) -> None:
    from pypod.images.layers.unpack import settle

    del engine
    settle(directory, layer, lowers)


def _writable_bytes(engine: Engine, directory: str) -> int:
    from pypod.engine.storage.layers import writable_bytes

    return writable_bytes(engine, directory)


def _own(engine: Engine, path: str, uid: int, gid: int, mode: int) -> None:
    del engine
    os.chown(path, uid, gid)
    os.chmod(path, mode)  # a change of the owner takes set-ID bits away


def _copy_layer(engine: Engine, source: str, target: str, maps: Maps) -> None:
    from pypod.engine.storage.layer_copies import copy

    del engine
    copy(source, target, maps)


def _merge_layers(engine: Engine, layers: list[str], target: str) -> None:
    from pypod.engine.storage.layer_copies import merge

    del engine
    merge(layers, target)


def _lay_layer(engine: Engine, layer: str, lowers: list[str], target: str) -> None:
    from pypod.engine.storage.layer_copies import lay

    del engine
    lay(layer, lowers, target)


def _move(engine: Engine, source: str, target: str) -> None:
    del engine
    os.rename(source, target)


def _prepare_networks(engine: Engine, identifiers: list[str]) -> dict[str, int]:
    """Return the indices of bridges by their networks' ids."""
    from pypod.engine.core import effects
    from pypod.engine.networks import bridges
    from pypod.store import networks

    specs = [networks.find(engine.database, one) for one in identifiers]
    effects.perform(bridges.preparations(engine, specs))
    return _bridges(engine)


def _bridges(engine: Engine) -> dict[str, int]:
    """Return the indices of the bridges that are there by their networks' ids."""
    from pypod.network.links import index_of
    from pypod.store import networks

    made = {one.id: index_of(one.interface) for one in networks.all_networks(engine.database)}
    return {identifier: index for identifier, index in made.items() if index}


def _reload(engine: Engine, container_ids: list[str] | None) -> tuple[list[str], dict[str, int]]:
    from pypod.engine.networks import reloading

    return reloading.reload(engine, container_ids), _bridges(engine)


def _amiss(engine: Engine) -> list[str]:
    from pypod.engine.networks.network_repair import amiss

    return amiss(engine)


def _repair(engine: Engine) -> tuple[list[str], dict[str, int]]:
    from pypod.engine.networks.network_repair import repair

    return repair(engine), _bridges(engine)


def _remove_bridge(engine: Engine, network: Any) -> None:
    from pypod.engine.networks import bridges

    bridges.remove(engine, network)


def _plug(engine: Engine, record: Any, state: Any, wire: Any) -> None:
    from pypod.engine.networks.live_connections import plug

    plug(engine, record, state, wire)


def _unplug(engine: Engine, record: Any, state: Any, wire: Any) -> None:
    from pypod.engine.networks.live_connections import unplug

    unplug(engine, record, state, wire)


TASKS: dict[str, Callable[..., Any]] = {
    "commit": _commit,
    "export": _export,
    "changes": _changes,
    "settle": _settle,
    "writable_bytes": _writable_bytes,
    "own": _own,
    "move": _move,
    "copy_layer": _copy_layer,
    "merge_layers": _merge_layers,
    "lay_layer": _lay_layer,
    "prepare_networks": _prepare_networks,
    "reload": _reload,
    "amiss": _amiss,
    "repair": _repair,
    "remove_bridge": _remove_bridge,
    "plug": _plug,
    "unplug": _unplug,
}
