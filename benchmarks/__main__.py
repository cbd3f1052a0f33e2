"""python -m benchmarks: measure everything, print it, write benchmarks/results/*.json."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from benchmarks import NAMES
from benchmarks.harness import RESULTS, Settings, file_system, machine_facts
from benchmarks.workspace import enter_own_mount_namespace

if TYPE_CHECKING:
    from types import FrameType

_INTERRUPTED = 130


def main() -> int:
    """Run the requested benchmarks; return 0 even when a goal is missed: judging the numbers is up to the reader."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repetitions: for a trial run, not for comparisons")
    parser.add_argument("--only", action="append", choices=NAMES, metavar="NAME", help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--directory", default="/var/tmp", help="where pods and images are stored during the run")
    parser.add_argument("--images", metavar="DIRECTORY", help="*.oci.tar to measure with (default: generated ones)")
    parser.add_argument("--output", metavar="DIRECTORY", help="where the JSON goes (default: benchmarks/results)")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("benchmarks need root", file=sys.stderr)
        return 1
    enter_own_mount_namespace(sys.argv[1:])
    os.environ["PYPOD_NETWORK"] = "none"  # lo only, where no network is named
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    output = options.output or os.path.join(RESULTS, "quick" if options.quick else "")
    settings = Settings(quick=options.quick, directory=os.path.abspath(options.directory), images=options.images or "")
    try:
        for name in options.only or NAMES:
            machine = machine_facts() | {"directory": f"{settings.directory} ({file_system(settings.directory)})"}
            report = import_module(f"benchmarks.{name}").measure(settings)
            machine["load_average_after"] = os.getloadavg()
            report.print()
            print(f"  -> {report.write(machine, output)}")
    except KeyboardInterrupt:
        print("interrupted; everything is cleaned up", file=sys.stderr)
        return _INTERRUPTED
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # only once: the clean-up that follows must not be interrupted
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
