"""volume create, rm, prune, exists, mount, unmount and reload."""

from __future__ import annotations

from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.cli.render.plain_text import tell
from pypod.errors import InUse, InvalidSpec, NoSuchVolume, PypodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.api.engine import Engine
    from pypod.api.volumes.volume import Volume
    from pypod.cli.flags.parser import Parsed

VOLUME_CREATE = Command(
    path="pypod volume create",
    summary="Create a new volume",
    description='If using the default driver, "local", the volume will be created on the host in the volumes directory '
    "under container storage.",
    synopsis="[options] [NAME]",
    flags=(
        Flag(name="driver", short="d", default="local", help="Specify volume driver name"),
        Flag(name="gid", kind="int", help="Set the GID of the volume owner"),
        Flag(name="ignore", kind="bool", help="Don't fail if volume already exists"),
        Flag(name="label", short="l", kind="strings", help="Set metadata for a volume"),
        Flag(name="opt", short="o", kind="stringArray", help="Set driver specific options"),
        Flag(name="uid", kind="int", help="Set the UID of the volume owner"),
    ),
    examples=(
        "pypod volume create myvol",
        "pypod volume create",
        "pypod volume create --label foo=bar myvol",
        "pypod volume create --opt type=tmpfs --opt device=tmpfs --opt o=size=64m,nodev scratch",
    ),
    max_args=1,
)
VOLUME_RM = Command(
    path="pypod volume rm",
    summary="Remove one or more volumes",
    description="Remove one or more existing volumes.\n\n  By default only volumes that are not being used by any "
    "containers will be removed. To remove the volumes anyways, use the --force flag.",
    synopsis="[options] VOLUME [VOLUME...]",
    flags=(
        Flag(name="all", short="a", kind="bool", help="Remove all volumes"),
        Flag(
            name="force",
            short="f",
            kind="bool",
            help="Remove a volume by force, even if it is being used by a container",
        ),
        Flag(
            name="time",
            short="t",
            kind="uint",
            default=10,
            help="Seconds to wait for running containers to stop before killing the container",
        ),
    ),
    aliases=("remove",),
    examples=("pypod volume rm myvol1 myvol2", "pypod volume rm --all", "pypod volume rm --force myvol"),
)
VOLUME_PRUNE = Command(
    path="pypod volume prune",
    summary="Remove all unused volumes",
    description="Volumes that are not currently owned by a container will be removed.\n\n  The command prompts for "
    "confirmation which can be overridden with the --force flag.\n  Note all data will be destroyed.",
    synopsis="[options]",
    flags=(
        Flag(name="filter", kind="stringArray", help="Provide filter values (e.g. 'label=<key>=<value>')"),
        Flag(name="force", short="f", kind="bool", help="Do not prompt for confirmation"),
    ),
    examples=("pypod volume prune", "pypod volume prune --filter label=of=web"),
    max_args=0,
)
VOLUME_EXISTS = Command(
    path="pypod volume exists",
    summary="Volume exists",
    description="If the given volume exists, pypod volume exists exits with 0, otherwise the exit code will be 1.",
    synopsis="VOLUME",
    examples=("pypod volume exists myvol",),
    min_args=1,
    max_args=1,
)
VOLUME_MOUNT = Command(
    path="pypod volume mount",
    summary="Mount volume",
    description="Mount a volume and return the mountpoint",
    synopsis="NAME",
    examples=("pypod volume mount myvol",),
    min_args=1,
    max_args=1,
)
VOLUME_UNMOUNT = Command(
    path="pypod volume unmount",
    summary="Unmount volume",
    description="Unmount a volume",
    synopsis="NAME",
    aliases=("umount",),
    examples=("pypod volume unmount myvol",),
    min_args=1,
    max_args=1,
)
VOLUME_RELOAD = Command(
    path="pypod volume reload",
    summary="Reload all volumes from volume plugins",
    description="Check all configured volume plugins and update the database with all available volumes. There are no "
    "plugins here, so nothing changes.",
    examples=("pypod volume reload",),
    max_args=0,
)
_WARNING = (
    "WARNING! This will remove all volumes not used by at least one container. The following volumes will be removed:"
)
_MISSING, _BUSY, _FAILED = 1, 2, 125


def run_volume_create(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod volume create``."""
    from pypod.api.engine import Engine

    chosen = {}
    for entry in options["opt"]:
        key, _, value = entry.partition("=")
        chosen[key] = value
    owner = [f"{name}={options[name]}" for name in ("uid", "gid") if options.changed(name)]
    if owner:
        chosen["o"] = ",".join([*([chosen["o"]] if chosen.get("o") else []), *owner])
    with Engine(root) as engine:
        volume = engine.volumes.create(
            options.positionals[0] if options.positionals else "",
            driver=options["driver"],
            labels=_labels(options["label"]),
            options=chosen,
            ignore=options["ignore"],
        )
        print(volume.name)
    return 0


def _labels(entries: Sequence[str]) -> dict[str, str]:
    found = {}
    for entry in entries:
        name, _, value = entry.partition("=")
        if not name:
            raise InvalidSpec("--label", f'unable to process labels: invalid label format: "{entry}"')
        found[name] = value
    return found


def run_volume_rm(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod volume rm``."""
    from pypod.api.engine import Engine

    force, names = options["force"], options.positionals
    if options.changed("time") and not force:
        raise UsageError(options.command.path, "--force option must be specified to use the --time option")
    if bool(names) == options["all"]:
        raise UsageError(options.command.path, "choose either one or more volumes or all")
    timeout = float(options["time"]) if options.changed("time") else None
    failures: list[PypodError] = []
    with Engine(root) as engine:
        for volume in _named(engine, names, failures) if names else engine.volumes.list():
            try:
                if not engine.volumes.exists(volume.name):  # named twice
                    gone = NoSuchVolume(volume.name)
                    gone.message = f"no volume with name {volume.name} found in database: no such volume"
                    raise gone
                volume.remove(force=force, timeout=timeout)
                print(volume.name, flush=True)
            except PypodError as error:
                failures.append(error)
    if force:
        failures = [error for error in failures if not isinstance(error, NoSuchVolume)]
    for failure in failures:
        tell(f"Error: {failure}")
    return _code(failures)


def _named(engine: Engine, names: Sequence[str], failures: list[PypodError]) -> list[Volume]:
    """Return the volumes with these names; add the errors of the others to ``failures``."""
    found = []
    for name in names:
        try:
            found.append(engine.volumes.get(name))
        except PypodError as error:
            failures.append(error)
    return found


def _code(failures: Sequence[PypodError]) -> int:
    """Return podman's exit code for rm: 1 when the only failures are unknown names, 2 when a volume is in use."""
    if not failures:
        return 0
    if all(isinstance(failure, NoSuchVolume) for failure in failures):
        return _MISSING
    return _BUSY if any(isinstance(failure, InUse) for failure in failures) else _FAILED


def run_volume_prune(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod volume prune``."""
    from pypod.api.engine import Engine
    from pypod.cli.volumes.filters import compile_volume_filters

    with Engine(root) as engine:
        test = compile_volume_filters(options["filter"], engine)
        if not options["force"]:
            print(_WARNING)
            names = [one.name for one in engine.volumes.unused() if test(one)]
            if not names:
                print("No dangling volumes found")
                return 0
            print("\n".join(names))
            if not _agrees():
                return 0
        for name in engine.volumes.prune(test):
            print(name)
    return 0


def _agrees() -> bool:
    from pypod.cli.render.asking import shown_line

    answer = shown_line("Are you sure you want to continue? [y/N] ", "prune", "")
    return answer[:1] in ("y", "Y")


def run_volume_exists(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod volume exists``."""
    from pypod.api.engine import Engine

    with Engine(root) as engine:
        return 0 if engine.volumes.exists(options.positionals[0]) else 1


def run_volume_mount(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod volume mount``."""
    from pypod.api.engine import Engine

    with Engine(root) as engine:
        print(engine.volumes.get(options.positionals[0]).mount())
    return 0


def run_volume_unmount(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod volume unmount``."""
    from pypod.api.engine import Engine

    with Engine(root) as engine:
        volume = engine.volumes.get(options.positionals[0])
        volume.unmount()
        print(volume.name)
    return 0


def run_volume_reload(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod volume reload``."""
    del options, root
    return 0
