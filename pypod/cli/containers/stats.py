"""stats and pod stats: the resource usage of containers, once or repeatedly."""

from __future__ import annotations

import sys

from pypod.cli.flags.objects import LATEST
from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.cli.flags.selection import latest, latest_pod
from pypod.cli.go.values import Struct
from pypod.cli.render.output import Column, human_size
from pypod.errors import InvalidSpec, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from pypod.api.engine import Engine
    from pypod.cli.flags.parser import Parsed
    from pypod.model.reports.stats import Stats

    Look = Callable[[Engine, Sequence[Stats]], Sequence[Stats]]

_FORMAT = Flag(name="format", help="Pretty-print container statistics to JSON or using a Go template")
_NO_RESET = Flag(name="no-reset", kind="bool", help="Disable resetting the screen between intervals")
_NO_STREAM = Flag(name="no-stream", kind="bool", help="Disable streaming stats and only pull the first result")
STATS = Command(
    path="pypod stats",
    summary="Display a live stream of container resource usage statistics",
    description="Display percentage of CPU, memory, network I/O, block I/O and PIDs for one or more containers.",
    synopsis="[options] [CONTAINER...]",
    flags=(
        Flag(name="all", short="a", kind="bool", help="Show all containers. Only running ones are shown by default"),
        _FORMAT,
        Flag(name="interval", short="i", kind="int", default=5, help="Time in seconds between stats reports"),
        LATEST,
        _NO_RESET,
        _NO_STREAM,
        Flag(name="no-trunc", kind="bool", help="Do not truncate output"),
    ),
    examples=(
        "pypod stats --all --no-stream",
        "pypod stats ctrID",
        'pypod stats --no-stream --format "table {{.ID}} {{.Name}} {{.MemUsage}}" ctrID',
    ),
)
POD_STATS = Command(
    path="pypod pod stats",
    summary="Display a live stream of resource usage statistics for the containers in one or more pods",
    description="Display the containers' resource-usage statistics of one or more running pods.",
    synopsis="[options] [POD...]",
    flags=(
        Flag(name="all", short="a", kind="bool", help="Provide stats for all pods"),
        _FORMAT,
        LATEST,
        _NO_RESET,
        _NO_STREAM,
    ),
    examples=("pypod pod stats", "pypod pod stats a69b23034235 named-pod", "pypod pod stats --all"),
)
_CLEAR_SCREEN = "\x1b[2J\x1b[1;1H"
_POD_INTERVAL_S = 1  # podman's
_SHORT = 12
_NONE = "--"


def _percent(value: float) -> str:
    return f"{value:.2f}%"


def _pair(one: int | None, other: int | None, *, binary: bool = False) -> str:
    """Format two sizes; dashes when they are not counted."""
    if one is None or other is None:
        return f"{_NONE} / {_NONE}"
    return f"{human_size(one, binary=binary)} / {human_size(other, binary=binary)}"


class Row(Struct):
    """One container's statistics; ``row["CPUPerc"]`` is a cell, named by podman's placeholders (podman-stats(1))."""

    type_name = "containers.containerStats"

    def __init__(self, stats: Stats, *, truncate: bool = True) -> None:
        self.stats = stats
        self.truncate = truncate
        self.idle = not stats.running  # shown with zeros

    def __missing__(self, key: str) -> Any:
        value = self[key] = FIELDS[key](self)
        return value


def _memory(row: Row, *, binary: bool = False) -> str:
    if row.idle:
        return "0B / 0B"
    return _pair(row.stats.memory_bytes, row.stats.memory_limit_bytes, binary=binary)


def _memory_percent(row: Row) -> str:
    return _NONE if row.stats.memory_bytes is None and not row.idle else _percent(row.stats.memory_percent)


def _pids(row: Row) -> str:
    return _NONE if row.stats.pids is None and not row.idle else str(row.stats.pids or 0)


def _blocks(row: Row) -> str:
    return "0B / 0B" if row.idle else _pair(row.stats.block_input_bytes, row.stats.block_output_bytes)


def _network(row: Row) -> str:
    return "0B / 0B" if row.idle else _pair(row.stats.network_input_bytes, row.stats.network_output_bytes)


def _duration(row: Row) -> str:
    from pypod.cli.flags.times import go_duration

    return go_duration(row.stats.cpu_ns or 0)


FIELDS: dict[str, Callable[[Row], Any]] = {
    "AVGCPU": lambda row: _percent(row.stats.average_cpu_percent),
    "AvgCPU": lambda row: row.stats.average_cpu_percent,
    "BlockIO": _blocks,
    "BlockInput": lambda row: row.stats.block_input_bytes or 0,
    "BlockOutput": lambda row: row.stats.block_output_bytes or 0,
    "CPU": lambda row: row.stats.cpu_percent,
    "CPUNano": lambda row: row.stats.cpu_ns or 0,
    "CPUPerc": lambda row: _percent(row.stats.cpu_percent),
    "CPUSystemNano": lambda row: row.stats.system_ns or 0,
    "ContainerID": lambda row: row.stats.id,
    "Duration": lambda row: row.stats.cpu_ns or 0,
    "ID": lambda row: row.stats.id[:_SHORT] if row.truncate else row.stats.id,
    "MemLimit": lambda row: row.stats.memory_limit_bytes,
    "MemPerc": _memory_percent,
    "MemUsage": _memory,
    "MemUsageBytes": lambda row: _memory(row, binary=True),
    "Name": lambda row: row.stats.name,
    "NetIO": _network,
    "NetInput": lambda row: row.stats.network_input_bytes or 0,
    "NetOutput": lambda row: row.stats.network_output_bytes or 0,
    "PIDS": _pids,
    "PIDs": lambda row: row.stats.pids or 0,
    "PerCPU": lambda _: [],
    "SystemNano": lambda row: row.stats.time_ns,
    "Up": _duration,
    "UpTime": _duration,
}
TITLES = {
    "AVGCPU": "avg cpu %",
    "BlockIO": "block io",
    "CPUPerc": "cpu %",
    "ID": "id",
    "MemPerc": "mem %",
    "MemUsage": "mem usage / limit",
    "MemUsageBytes": "mem usage / limit",
    "NetIO": "net io",
    "PIDS": "pids",
    "UpTime": "cpu time",
}
_KEYS = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDS", "UpTime", "AVGCPU")
# podman's names for the same values in pod stats
POD_FIELDS: dict[str, Callable[[Row], Any]] = {
    "BlockIO": FIELDS["BlockIO"],
    "CID": FIELDS["ID"],
    "CPU": lambda row: _percent(row.stats.cpu_percent) if row.stats.running else _NONE,
    "Mem": _memory_percent,
    "MemUsage": _memory,
    "MemUsageBytes": FIELDS["MemUsageBytes"],
    "Name": FIELDS["Name"],
    "NetIO": FIELDS["NetIO"],
    "PIDS": _pids,
    "Pod": lambda row: row.stats.pod_id[:_SHORT],
}
POD_TITLES = {
    "BlockIO": "block io",
    "CID": "cid",
    "CPU": "cpu %",
    "Mem": "mem %",
    "MemUsage": "mem usage/ limit",
    "MemUsageBytes": "mem usage/ limit",
    "NetIO": "net io",
    "PIDS": "pids",
}
_POD_KEYS = ("Pod", "CID", "Name", "CPU", "MemUsage", "Mem", "NetIO", "BlockIO", "PIDS")


class PodRow(Row):
    """A row of ``pod stats``."""

    type_name = "*entities.PodStatsReport"

    def __init__(self, stats: Stats) -> None:
        super().__init__(stats)
        self.idle = False  # shown with dashes, in podman's way

    def __missing__(self, key: str) -> Any:
        value = self[key] = POD_FIELDS[key](self)
        return value


def run_stats(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod stats``."""
    if sum((bool(options["all"]), bool(options["latest"]), bool(options.positionals))) > 1:
        raise UsageError("", "--all, --latest and containers cannot be used together")
    if options["interval"] < 1:
        raise InvalidSpec("--interval", "invalid interval, must be a positive number greater zero")
    return _run(options, root, _containers(options), _write_containers, options["interval"])


def run_pod_stats(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod pod stats``."""
    if sum((bool(options["all"]), bool(options["latest"]), bool(options.positionals))) > 1:
        raise UsageError("", "--all, --latest and arguments cannot be used together")
    return _run(options, root, _members(options), _write_members, _POD_INTERVAL_S)


def _run(
    options: Parsed, root: str | None, look: Look, write: Callable[[Parsed, Sequence[Stats]], None], interval_s: int
) -> int:
    from time import sleep

    from pypod.api.engine import Engine
    from pypod.cli.render.plain_text import control

    with Engine(root) as engine:
        found: Sequence[Stats] = ()
        while True:
            found = look(engine, found)
            if not options["no-reset"] and sys.stdout.isatty():
                control(sys.stdout, _CLEAR_SCREEN)
            write(options, found)
            if options["no-stream"]:
                return 0
            sys.stdout.flush()
            sleep(interval_s)


def _containers(options: Parsed) -> Look:
    """Return a function that samples the containers named on the command line; it looks them up each time."""

    def look(engine: Engine, before: Sequence[Stats]) -> Sequence[Stats]:
        refs = options.positionals or None
        if options["latest"]:
            refs = [latest(engine).id]
        try:
            return engine.containers.stats(refs, before=before, all=options["all"] or refs is not None)
        except NotFound as error:
            error.message = (
                f"unable to get list of containers: unable to look up container {error.ref}: {error.message}"
            )
            raise

    return look


def _members(options: Parsed) -> Look:
    def look(engine: Engine, before: Sequence[Stats]) -> Sequence[Stats]:
        refs = options.positionals or [pod.id for pod in engine.pods.list()]
        if options["latest"]:
            refs = [latest_pod(engine).id]
        try:
            return engine.containers.stats(pods=refs, before=before, all=True)
        except NotFound as error:
            error.message = f"unable to get list of pods: {error.message}"
            raise

    return look


def _write_containers(options: Parsed, found: Sequence[Stats]) -> None:
    rows = [Row(one, truncate=not options["no-trunc"]) for one in found]
    if _is_json(options):
        names = (
            *(("id", "ID"), ("name", "Name"), ("cpu_time", "UpTime"), ("cpu_percent", "CPUPerc")),
            *(("avg_cpu", "AVGCPU"), ("mem_usage", "MemUsage"), ("mem_percent", "MemPerc")),
            *(("net_io", "NetIO"), ("block_io", "BlockIO"), ("pids", "PIDS")),
        )
        _write_json(rows, names, " ")
    else:
        _write(options, rows, FIELDS, TITLES, _KEYS)


def _write_members(options: Parsed, found: Sequence[Stats]) -> None:
    rows = [PodRow(one) for one in found]
    if _is_json(options):
        order = ("CPU", "MemUsage", "MemUsageBytes", "Mem", "NetIO", "BlockIO", "PIDS", "Pod", "CID", "Name")
        _write_json(rows, [(name, name) for name in order], "     ")
    elif rows or options["format"]:
        if rows:
            _write(options, rows, POD_FIELDS, POD_TITLES, _POD_KEYS)
    else:  # as in podman
        nothing = Struct(dict.fromkeys(_POD_KEYS, _NONE))
        _write(options, [nothing], POD_FIELDS, POD_TITLES, _POD_KEYS)


def _is_json(options: Parsed) -> bool:
    from pypod.cli.render.output import is_json

    return is_json(options["format"])


def _write_json(rows: Sequence[Row], names: Sequence[tuple[str, str]], indent: str) -> None:
    from pypod.cli.go.json import encode

    listed = [Struct((name, row[key]) for name, key in names) for row in rows]
    sys.stdout.write(encode(listed, indent=indent, escape_html=True) + "\n")


def _write(
    options: Parsed,
    rows: Sequence[Struct],
    fields: dict[str, Callable[[Row], Any]],
    titles: dict[str, str],
    keys: Sequence[str],
) -> None:
    from pypod.cli.render.output import header_map, write_format, write_table

    headers = header_map(fields, titles)
    if options["format"]:
        write_format(options["format"], rows, name="stats", headers=headers, stream=sys.stdout)
    else:
        write_table(rows, [Column(key=key, title=headers[key]) for key in keys], stream=sys.stdout)
