"""Flags that select the objects of a command, and other flags that many commands share."""

from __future__ import annotations

from pypod.cli.flags.parser import Flag

ALL = Flag(name="all", short="a", kind="bool", help="Act on all containers or pods")
LATEST = Flag(name="latest", short="l", kind="bool", help="Act on the latest container or pod pypod is aware of")
IGNORE = Flag(name="ignore", short="i", kind="bool", help="Ignore errors when a specified container or pod is missing")
CIDFILE = Flag(name="cidfile", kind="stringArray", help="Read the container ID from the file")
POD_ID_FILE = Flag(name="pod-id-file", kind="stringArray", help="Read the pod ID from the file")
FILTER = Flag(name="filter", short="f", kind="strings", help="Filter containers based on conditions given")
TIME = Flag(name="time", short="t", kind="uint", default=10, help="Seconds to wait before killing", metavar="int")
PRESERVE = (
    Flag(name="preserve-fds", kind="uint", help="Pass a number of additional file descriptors into the container"),
    Flag(name="preserve-fd", kind="strings", help="Pass file descriptors into the container, under their own numbers"),
)
EXPLAIN = Flag(name="explain", kind="bool", help="Print the steps without carrying them out")
