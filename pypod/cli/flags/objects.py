"""Flags that say what a command is about, and those that many commands have."""

from __future__ import annotations

from pypod.cli.flags.parser import Flag

ALL = Flag(name="all", short="a", kind="bool", help="Process all of them")
LATEST = Flag(name="latest", short="l", kind="bool", help="Act on the latest one pypod is aware of")
IGNORE = Flag(name="ignore", short="i", kind="bool", help="Ignore errors when a specified one is missing")
CIDFILE = Flag(name="cidfile", kind="stringArray", help="Read the container ID from the file")
POD_ID_FILE = Flag(name="pod-id-file", kind="stringArray", help="Read the pod ID from the file")
FILTER = Flag(name="filter", short="f", kind="strings", help="Act on those for which conditions hold")
TIME = Flag(name="time", short="t", kind="uint", default=10, help="Seconds to wait before killing", metavar="int")
EXPLAIN = Flag(name="explain", kind="bool", help="Print what would be done, step by step, and do nothing")
