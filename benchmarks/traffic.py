"""Two ways to be connected, and how fast they are: pods on a bridge, and the same set up by hand.

Each way is a host of its own (a network namespace) with two ends on a bridge and somebody outside, who is reached
through another veth. One end is a server, to which a port of the host leads.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks.harness import PYPOD, Unavailable
from benchmarks.workspace import OwnNetwork

if TYPE_CHECKING:
    from typing import Self

    from benchmarks.harness import Clock
    from benchmarks.workspace import Workspace

BY_HAND = "by hand"
ROUND_TRIPS = 20_000
OPERATIONS = (
    *("1 GiB from pod to pod", "1,000 round trips from pod to pod"),
    *("1 GiB from outside to a published port", "1,000 round trips from outside to a published port"),
)
_MEGABYTES = 1024
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
    """A host with a server and a client on a bridge, and somebody outside. ``lay`` makes what is special to it."""

    name = ""
    every = 1

    def __init__(self, place: Workspace, program: str, share: int = 1) -> None:
        self.place = place
        self._program = program
        self._share = share  # of what is sent and asked: one in so many
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
        """Make the bridge, both ends and what leads to them; return the paths of the ends' namespaces."""
        raise NotImplementedError

    def connect(self, name: str, path: str, address: str, gateway: str) -> None:
        """Make a veth from the host, up, to another namespace, where it has an address and a default route."""
        self.host("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", path)
        self.host("ip", "link", "set", name, "up")
        for words in (f"address add {address}/24 dev eth0", "link set eth0 up", f"route add default via {gateway}"):
            self.host("nsenter", f"--net={path}", "ip", *words.split())

    def _serve(self, path: str) -> None:
        argv = (*_pinned(path, first=True), self._program, "serve", str(_PORT))
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        assert process.stdout is not None
        self.stack.callback(process.stdout.close)
        if process.stdout.readline() != b"ready\n":
            raise Unavailable("the server of benchmarks/traffic.c does not serve")

    def turn(self, clock: Clock) -> None:
        """Send and ask, from the other end and from outside."""
        ways = ((self._client, _SERVER, _PORT), (self._outside.path, _HOST, _PUBLISHED))
        for at, (path, address, port) in enumerate(ways):
            sent, asked = OPERATIONS[2 * at : 2 * at + 2]
            clock.add(sent, self._ask(path, "send", address, port, _MEGABYTES // self._share) * self._share)
            clock.add(asked, self._ask(path, "ask", address, port, ROUND_TRIPS // self._share))

    def _ask(self, path: str, what: str, address: str, port: int, count: int) -> float:
        words = (self._program, what, address, str(port), str(count))
        return float(self.host(*_pinned(path, first=False), *words))


class ByHand(Way):
    """ip(8) and nft(8)."""

    name = BY_HAND

    def lay(self) -> tuple[str, str]:
        """Make a bridge, two namespaces on it, and the rules for one port."""
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

    name = PYPOD

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


def _pinned(path: str, *, first: bool) -> tuple[str, ...]:
    """Return what runs a program in a network namespace: the two ends on the same two processors each time."""
    processors = sorted(os.sched_getaffinity(0))
    return "nsenter", f"--net={path}", "taskset", "-c", str(processors[0 if first else -1])
