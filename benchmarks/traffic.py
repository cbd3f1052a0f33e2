"""Compare the traffic of pods on a bridge with that of the same setup made by hand.

Each setup has a host of its own (a network namespace) with two ends on a bridge and an outside peer, which is reached
through another veth. One end is a server, to which a port of the host is forwarded. Both setups are measured in
alternating turns of a few milliseconds: over longer turns the speed drifts by more than the difference to be measured.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks.harness import Unavailable, run
from benchmarks.workspace import OwnNetwork

if TYPE_CHECKING:
    from typing import Self

    from benchmarks.workspace import Workspace

BY_HAND = "by hand"
# operation: command of benchmarks/traffic.c, turns, factor for a turn's time, whether it comes from outside
OPERATIONS = {
    "1 GiB from pod to pod": ("send", 300, 64, False),
    "1,000 round trips from pod to pod": ("ask", 1500, 50, False),
    "1 GiB from outside to a published port": ("send", 300, 64, True),
    "1,000 round trips from outside to a published port": ("ask", 1500, 50, True),
}
_PORT, _PUBLISHED = 5000, 8080
_SUBNET, _GATEWAY, _SERVER, _CLIENT = "10.89.252.0/24", "10.89.252.1", "10.89.252.2", "10.89.252.3"
_HOST, _OUTSIDE = "192.0.2.1", "192.0.2.2"
_RULES = f"""table ip by_hand {{
	chain arriving {{
		type nat hook prerouting priority dstnat; policy accept;
		tcp dport {_PUBLISHED} dnat to {_SERVER}:{_PORT}
	}}
	chain leaving {{
		type nat hook postrouting priority srcnat; policy accept;
		iifname "bridge" oifname != "bridge" masquerade
	}}
}}
"""


class Way:
    """A host with a server and a client on a bridge, and an outside peer. ``lay`` creates the part that differs."""

    def __init__(self, place: Workspace, program: str) -> None:
        self.place = place
        self._program = program
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        with self.stack:  # undone when it fails
            self.host = self.stack.enter_context(OwnNetwork())
            self._outside = self.stack.enter_context(OwnNetwork())
            self.host("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
            self.connect("out0", self._outside.path, _OUTSIDE, _HOST)
            self.host("ip", "address", "add", f"{_HOST}/24", "dev", "out0")
            server, self._client = self.lay()
            self._serve(server)
            self._kept = self.stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    def lay(self) -> tuple[str, str]:
        """Create the bridge, both ends and the routes to them; return the paths of the ends' namespaces."""
        raise NotImplementedError

    def connect(self, name: str, path: str, address: str, gateway: str) -> None:
        """Create a veth from the host to another namespace, where its peer gets an address and a default route."""
        self.host("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", path)
        self.host("ip", "link", "set", name, "up")
        for words in (f"address add {address}/24 dev eth0", "link set eth0 up", f"route add default via {gateway}"):
            self.host("nsenter", f"--net={path}", "ip", *words.split())

    def _serve(self, path: str) -> None:
        argv = ("nsenter", f"--net={path}", *_pinned(first=True), self._program, "serve", str(_PORT))
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        assert process.stdout is not None
        self.stack.callback(process.stdout.close)
        if process.stdout.readline() != b"ready\n":
            raise Unavailable("the server of benchmarks/traffic.c does not serve")

    def to_server(self, *, outside: bool) -> tuple[str, str, str]:
        """Return the path of the client's network namespace, and the address and port that it connects to."""
        if outside:
            return self._outside.path, _HOST, str(_PUBLISHED)
        return self._client, _SERVER, str(_PORT)


class ByHand(Way):
    """ip(8) and nft(8)."""

    def lay(self) -> tuple[str, str]:
        """Create a bridge, two namespaces on it, and the rules for one port."""
        for words in ("link add bridge type bridge", f"address add {_GATEWAY}/24 dev bridge", "link set bridge up"):
            self.host("ip", *words.split())
        ends = []
        for name, address in (("server", _SERVER), ("client", _CLIENT)):
            end = self.stack.enter_context(OwnNetwork())
            self.connect(name, end.path, address, _GATEWAY)
            self.host("ip", "link", "set", name, "master", "bridge")
            ends.append(end.path)
        rules = f"{self.place.directory}/by-hand.nft"
        with open(rules, "w", encoding="ascii") as file:
            file.write(_RULES)
        self.host("nft", "-f", rules)
        return ends[0], ends[1]


class Pods(Way):
    """Two pods of pypod's, one with a published port."""

    def lay(self) -> tuple[str, str]:
        """Start two pods on a network."""
        from pypod import Engine

        self.stack.enter_context(self.host.entered())
        engine = self.stack.enter_context(Engine(f"{self.place.directory}/traffic"))
        network = engine.networks.create("traffic", subnets=[_SUBNET])
        self.stack.callback(network.remove, force=True)
        paths = []
        for address, ports in ((_SERVER, [f"{_PUBLISHED}:{_PORT}"]), (_CLIENT, [])):
            pod = engine.pods.create(network=f"traffic:ip={address}", ports=ports)
            self.stack.callback(pod.remove, force=True, timeout=0)
            pod.start()
            assert pod.infra is not None
            paths.append(f"/proc/{pod.infra.state().pid}/ns/net")
        return paths[0], paths[1]


def times_by_turns(program: str, operation: str, ways: tuple[Way, Way], share: int) -> tuple[list[float], list[float]]:
    """Return the times of both ways, in ms. ``share`` divides the number of turns."""
    what, turns, factor, outside = OPERATIONS[operation]
    to_servers = [word for way in ways for word in way.to_server(outside=outside)]
    lines = run((*_pinned(first=False), program, what, str(turns // share), *to_servers))[1].splitlines()
    pairs = [[float(word) * factor / 1000 for word in line.split()] for line in lines]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _pinned(*, first: bool) -> tuple[str, ...]:
    """Return the command prefix that pins a program to the servers' processor (``first``), or to another."""
    processors = sorted(os.sched_getaffinity(0))
    return "taskset", "-c", str(processors[0 if first else -1])
