"""top and pod top: the running processes of a container or a pod."""

from __future__ import annotations

import sys

from pypod.cli.flags.objects import LATEST
from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.errors import InvalidSpec, LaunchFailed, NotFound, PypodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pypod.api.container import Container
    from pypod.api.engine import Engine
    from pypod.cli.flags.parser import Parsed
    from pypod.model.process import ContainerProcess

    Cell = Callable[[ContainerProcess], str]

_NONE = "?"
_SECOND_NS = 1_000_000_000


def _duration(nanoseconds: int) -> str:
    from pypod.cli.flags.times import go_duration

    return go_duration(nanoseconds)


def _started(one: ContainerProcess) -> str:
    from pypod.cli.go.values import go_time

    return go_time(one.started_ns // _SECOND_NS * _SECOND_NS)


def _arguments(one: ContainerProcess) -> str:
    """Return the command line with a space after each argument, as podman prints it; [NAME] for a zombie."""
    return "".join([f"{word} " for word in one.arguments]) if one.arguments else f"[{one.comm}]"


def _capabilities(kind: str) -> Cell:
    def text(one: ContainerProcess) -> str:
        names = one.capabilities.get(kind, ())
        if not names:
            return "none"
        if len(names) > _last_capability():
            return "full"
        return ",".join(sorted(name.removeprefix("CAP_") for name in names))

    return text


def _last_capability() -> int:
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        return int(file.read())


def _host_user(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _host_group(number: int) -> str:
    import grp

    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


# descriptor: (heading, AIX code of ps(1), cell)
DESCRIPTORS: dict[str, tuple[str, str, Cell]] = {
    "args": ("COMMAND", "%a", _arguments),
    "capamb": ("AMBIENT CAPS", "", _capabilities("amb")),
    "capbnd": ("BOUNDING CAPS", "", _capabilities("bnd")),
    "capeff": ("EFFECTIVE CAPS", "", _capabilities("eff")),
    "capinh": ("INHERITED CAPS", "", _capabilities("inh")),
    "capprm": ("PERMITTED CAPS", "", _capabilities("prm")),
    "comm": ("COMMAND", "%c", lambda one: one.comm),
    "etime": ("ELAPSED", "%t", lambda one: _duration(one.elapsed_ns)),
    "group": ("GROUP", "%G", lambda one: one.group),
    "groups": ("GROUPS", "", lambda one: ",".join(one.groups)),
    "hgroup": ("HGROUP", "", lambda one: _host_group(one.host_gid)),
    "hgroups": ("HGROUPS", "", lambda one: ",".join(map(_host_group, one.host_groups))),
    "hpid": ("HPID", "", lambda one: str(one.host_pid)),
    "huser": ("HUSER", "", lambda one: _host_user(one.host_uid)),
    "label": ("LABEL", "", lambda one: one.label or _NONE),
    "nice": ("NI", "%n", lambda one: str(one.nice)),
    "pcpu": ("%CPU", "%C", lambda one: f"{one.cpu_percent:.3f}"),
    "pgid": ("PGID", "%r", lambda one: str(one.pgid)),
    "pid": ("PID", "%p", lambda one: str(one.pid)),
    "ppid": ("PPID", "%P", lambda one: str(one.ppid)),
    "rgroup": ("RGROUP", "%g", lambda one: one.real_group),
    "rss": ("RSS", "", lambda one: str(one.resident_bytes // 1024)),
    "ruser": ("RUSER", "%u", lambda one: one.real_user),
    "seccomp": ("SECCOMP", "", lambda one: one.seccomp or _NONE),
    "state": ("STATE", "", lambda one: one.state),
    "stime": ("STIME", "", _started),
    "time": ("TIME", "%x", lambda one: _duration(one.cpu_ns)),
    "tty": ("TTY", "%y", lambda one: one.tty or _NONE),
    "user": ("USER", "%U", lambda one: one.user),
    "vsz": ("VSZ", "%z", lambda one: str(one.virtual_bytes // 1024)),
}
_CODES = {code: name for name, (_, code, _) in DESCRIPTORS.items() if code}
_DEFAULT = ("user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args")
_LISTED = Flag(name="list-descriptors", kind="bool", hidden=True)
_FORMAT_DESCRIPTORS = f"  Format Descriptors:\n    {','.join(DESCRIPTORS)}"
TOP = Command(
    path="pypod top",
    summary="Display the running processes of a container",
    description="Display the running processes of a container.\n\n"
    "  The top command extends the ps(1) compatible AIX descriptors with container-specific ones as shown below.  In "
    "the presence of ps(1) specific flags (e.g, -eo), pypod will execute ps(1) inside the container.\n\n"
    f"{_FORMAT_DESCRIPTORS}",
    synopsis="[options] CONTAINER [FORMAT-DESCRIPTORS|ARGS...]",
    flags=(LATEST, _LISTED),
    examples=(
        "pypod top ctrID",
        "pypod top --latest",
        "pypod top ctrID pid seccomp args %C",
        "pypod top ctrID -eo user,pid,comm",
    ),
    interspersed=False,
)
POD_TOP = Command(
    path="pypod pod top",
    summary="Display the running processes of containers in a pod",
    description="Specify format descriptors to alter the output.\n\n"
    '  You may run "pypod pod top -l pid pcpu seccomp" to print the process ID, the CPU percentage and the seccomp '
    f"mode of each process of the latest pod.\n\n{_FORMAT_DESCRIPTORS}",
    synopsis="[options] POD [FORMAT-DESCRIPTORS|ARGS...]",
    flags=(LATEST, _LISTED),
    examples=("pypod pod top podID", "pypod pod top --latest", "pypod pod top podID pid seccomp args %C"),
    interspersed=False,
)


def run_top(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod top``."""
    from pypod.api.engine import Engine

    if _lists_descriptors(options):
        return 0
    words = list(options.positionals)
    if not words and not options["latest"]:
        raise UsageError("", "you must provide the name or id of a running container")
    with Engine(root) as engine:
        try:
            ref = _latest(engine) if options["latest"] else words.pop(0)
            processes = engine.containers.top(ref)
        except NotFound as error:
            raise _not_found(error) from error
        columns, unknown = _columns(words)
        if unknown:
            sys.stdout.write(_ps(engine.containers.get(ref), words))
        else:
            _write(columns, processes)
    return 0


def _latest(engine: Engine) -> str:
    from pypod.cli.flags.selection import latest

    return latest(engine).id


def run_pod_top(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod pod top``."""
    from pypod.api.engine import Engine
    from pypod.cli.flags.selection import latest_pod

    if _lists_descriptors(options):
        return 0
    words = list(options.positionals)
    if not words and not options["latest"]:
        raise UsageError("", "you must provide the name or id of a running pod")
    with Engine(root) as engine:
        try:
            pod = latest_pod(engine) if options["latest"] else engine.pods.get(words.pop(0))
        except NotFound as error:
            raise _not_found(error) from error
        columns, unknown = _columns(words)
        if unknown:
            raise InvalidSpec("FORMAT-DESCRIPTORS", f"'{unknown}': unknown descriptor")
        found = pod.top()
        if found:
            _write(columns, found)
    return 0


def _lists_descriptors(options: Parsed) -> bool:
    if options["list-descriptors"]:
        sys.stdout.write("\n".join((*DESCRIPTORS, "")))
    return bool(options["list-descriptors"])


def _not_found(error: PypodError) -> PypodError:
    error.message = f"unable to look up requested container: {error.message}"
    return error


def _columns(words: Sequence[str]) -> tuple[list[str], str]:
    """Return the descriptors that words name, separated by commas, and the first word that is none."""
    names = [name.strip() for word in words for name in word.split(",")]
    names = [_CODES.get(name, name) for name in names if name] or list(_DEFAULT)
    return names, next((name for name in names if name not in DESCRIPTORS), "")


def _write(names: Sequence[str], processes: Iterable[ContainerProcess]) -> None:
    from pypod.cli.render.output import Column, write_table

    columns = [Column(key=name, title=DESCRIPTORS[name][0], getter=DESCRIPTORS[name][2]) for name in names]
    write_table(processes, columns, stream=sys.stdout)


def _ps(container: Container, words: Sequence[str]) -> str:
    """Return the output of ps(1), without the line of ps itself."""
    from pypod.cli.render.plain_text import escaped

    arguments = _split(words[0]) if len(words) == 1 else list(words)
    try:
        done = container.ps(arguments)
    except LaunchFailed as error:
        raise InvalidSpec("ARGS", f"executing ps(1) in the container: {error}") from error
    if done.exit_code:
        said = " ".join(done.stderr.decode("utf-8", "replace").splitlines())
        raise InvalidSpec(
            "ARGS",
            f"executing ps(1) in the container: runtime failed with exit status: {done.exit_code} and output: {said}",
        )
    own = " ".join(["ps", *arguments])
    lines = [escaped(line, but="\t") for line in done.stdout.decode("utf-8", "replace").split("\n")]
    return "\n".join([line for line in lines if not line.endswith(own)])


def _split(text: str) -> list[str]:
    """Split the only argument as a shell does, as podman has done since 4.0."""
    import shlex

    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidSpec("ARGS", f"{error}") from error
