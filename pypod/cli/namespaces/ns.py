"""ns: which namespaces are shared."""

from __future__ import annotations

import sys

from pypod.cli.flags.parser import Command, Flag
from pypod.errors import SystemFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod import Matrix
    from pypod.cli.flags.parser import Parsed

_JSON = Flag(name="json", short="J", kind="bool", help="Print the table as JSON (docs/json.md)")
_INODES = Flag(name="inodes", short="i", kind="bool", help="Show inode numbers instead of letters")
_NO_HEADING = Flag(name="noheadings", short="n", kind="bool", help="Do not print headings")

NS_MATRIX = Command(
    path="pypod ns",
    summary="Show which namespaces the containers of a pod share",
    description=(
        "Prints a row per namespace type and a column each for the host, the pod's infra and every running member.\n"
        "  Equal letters in a row mean the same namespace."
    ),
    synopsis="[options] POD",
    flags=(_INODES, _JSON, _NO_HEADING),
    examples=("pypod ns mipod", "pypod ns diff web db", "pypod ns ls web"),
    min_args=1,
    max_args=1,
)
NS_DIFF = Command(
    path="pypod ns diff",
    summary="Show which namespaces two containers, pods or processes share",
    synopsis="[options] CONTAINER|POD|PID CONTAINER|POD|PID",
    flags=(_INODES, _JSON, _NO_HEADING),
    examples=("pypod ns diff web db", "pypod ns diff web 1"),
    min_args=2,
    max_args=2,
)
NS_LS = Command(
    path="pypod ns ls",
    summary="List the namespaces of a container or process, like ls -l /proc/PID/ns",
    synopsis="CONTAINER|POD|PID",
    examples=("pypod ns ls web", "pypod ns ls 1"),
    min_args=1,
    max_args=1,
)


def run_ns_matrix(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod ns POD``."""
    from pypod.api.engine import Engine

    with Engine(root) as engine:
        pod = engine.pods.get(options.positionals[0])
        _write(pod.matrix(), options, pod=pod.name)
    return 0


def run_ns_diff(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod ns diff``."""
    from pypod import compare
    from pypod.api.engine import Engine

    with Engine(root) as engine:
        _write(compare(*options.positionals, engine=engine), options)
    return 0


def _write(matrix: Matrix, options: Parsed, pod: str = "") -> None:
    if options["json"]:
        from pypod.cli.go.json import encode

        sys.stdout.write(encode(_plain(matrix, pod), indent="  ") + "\n")
        return
    lines = matrix.lines(inodes=options["inodes"])
    shared = matrix.shared()
    if not pod:
        lines = [[*lines[0], "SAME"], *([*line, "yes" if shared[line[0]] else "no"] for line in lines[1:])]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines[1:] if options["noheadings"] else lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _plain(matrix: Matrix, pod: str) -> dict[str, object]:
    columns = [{"name": one.name, "role": one.role, "pid": one.pid} for one in matrix.columns]
    rows = [{"type": row.kind, "ns": list(row.inodes), "marks": list(row.marks)} for row in matrix.rows]
    return {**({"pod": pod} if pod else {}), "columns": columns, "namespaces": rows}


def run_ns_ls(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod ns ls``."""
    from pypod import compare
    from pypod.api.engine import Engine

    with Engine(root) as engine:
        (found,) = compare(options.positionals[0], engine=engine).columns
    directory = f"/proc/{found.pid}/ns"
    try:
        rows = _links(directory)
    except OSError as error:
        raise SystemFailure("read", error.errno or 0, f"read {directory}: {error.strerror}") from error
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for mode, links, user, group, size, when, name in rows:
        sys.stdout.write(
            f"{mode} {links:>{widths[1]}} {user:<{widths[2]}} {group:<{widths[3]}} {size:>{widths[4]}} {when} {name}\n"
        )
    return 0


def _links(directory: str) -> list[tuple[str, ...]]:
    """Return the columns of ``ls -l`` for each link."""
    import os
    import stat
    import time

    rows: list[tuple[str, ...]] = []
    for name in sorted(os.listdir(directory)):
        path = f"{directory}/{name}"
        status = os.lstat(path)
        when = time.strftime("%b %e %H:%M", time.localtime(status.st_mtime))
        rows.append(
            (
                stat.filemode(status.st_mode),
                str(status.st_nlink),
                _user(status.st_uid),
                _group(status.st_gid),
                str(status.st_size),
                when,
                f"{name} -> {os.readlink(path)}",
            )
        )
    return rows


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
