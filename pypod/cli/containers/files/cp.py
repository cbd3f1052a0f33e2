"""cp: copy files between a container and the host, or between containers."""

from __future__ import annotations

from pypod.cli.flags.parser import Command, Flag
from pypod.errors import InvalidSpec, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.api.container import Container
    from pypod.api.engine import Engine
    from pypod.cli.flags.parser import Parsed

CP = Command(
    path="pypod cp",
    summary="Copy files/folders between a container and the local filesystem",
    description=(
        "Copies the contents of SRC_PATH to DEST_PATH. CONTAINER:PATH is a path in a container, running or not; one\n"
        "  that is not absolute begins at its working directory. - is a tar archive on standard input or output.\n"
        "  A directory is copied into a directory that exists, and its content alone if SRC_PATH ends with /."
    ),
    synopsis="[options] [CONTAINER:]SRC_PATH [CONTAINER:]DEST_PATH",
    flags=(
        Flag(
            name="archive",
            short="a",
            kind="bool",
            default=True,
            help="Chown copied files to the user of the container, or to you on the host; else they keep their ids",
        ),
        Flag(
            name="overwrite",
            kind="bool",
            help="Allow to overwrite directories with non-directories and vice versa",
        ),
        Flag(name="pause", kind="bool", help="Pause running containers while copying"),
        Flag(name="extract", kind="bool", hidden=True, help="Accepted for compatibility with podman; has no effect"),
    ),
    examples=(
        "pypod cp /myapp/app.conf containerID:/myapp/app.conf",
        "pypod cp containerID1:/myfile.txt containerID2:/tmp",
        "pypod cp containerID:/home/myuser/. /home/myuser/",
        "pypod cp - containerID:/myfiles < myfiles.tar.gz",
    ),
    min_args=2,
    max_args=2,
)


def run_cp(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod cp``."""
    from pypod.api.configuration import setting
    from pypod.api.engine import Engine

    source, target = options.positionals
    (source_name, source_path), (target_name, target_path) = _split(source), _split(target)
    if not source_path or not target_path:
        raise InvalidSpec("PATH", f'invalid arguments "{source}", "{target}": you must specify paths')
    how = {name: options[name] for name in ("archive", "overwrite", "pause")}
    if not options.changed("archive") and setting("engine", "chown_copied_files", bool) is False:
        how["archive"] = False
    with Engine(root) as engine:
        if source_name and target_name:
            _container(engine, source_name).copy_between(
                source_path, _container(engine, target_name), target_path, **how
            )
        elif target_name:
            container = _container(engine, target_name)
            if source_path == "-":
                with open(0, "rb", buffering=0, closefd=False) as file:
                    container.copy_to(file, target_path, tar=True, **how)
            else:
                container.copy_to(source_path, target_path, **how)
        elif source_name:
            container = _container(engine, source_name)
            if target_path in ("-", "/dev/stdout"):
                with open(1, "wb", closefd=False) as file:
                    container.copy_from(source_path, file, tar=True, **how)
            else:
                container.copy_from(source_path, target_path, **how)
        else:
            raise InvalidSpec("CONTAINER", "name or ID cannot be empty")
    return 0


def _split(word: str) -> tuple[str, str]:
    """Return container and path; what begins with a dot or slash is a path on the host, as in podman."""
    if word.startswith((".", "/")):
        return "", word
    name, colon, path = word.partition(":")
    return (name, path) if colon else ("", word)


def _container(engine: Engine, name: str) -> Container:
    try:
        return engine.containers.get(name)
    except NotFound as error:
        raise InvalidSpec("CONTAINER", f'container "{name}" does not exist') from error
