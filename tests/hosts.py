"""Network namespaces as hosts: one for this thread, which is the host under test, and others around it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pypod.kernel.abi import CLONE_NEWNET
from pypod.kernel.syscalls import attempt, setns

PEER = Path(__file__).parent / "peer.py"
# without duplicate address detection, which takes IPv6 a second
UP = "ip link set lo up; echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad"
UNSHARE = {"x86_64": 272, "aarch64": 97}  # numbers of unshare(2)


@contextmanager
def own_network() -> Iterator[None]:
    """Put this thread and the processes it starts into a new network namespace that contains only lo."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        assert attempt(UNSHARE[platform.machine()], (CLONE_NEWNET,)) == 0
        run("sh", "-c", UP)
        yield
    finally:
        setns(before, CLONE_NEWNET)
        os.close(before)


def run(*words: str) -> str:
    """Run a program in this thread's network namespace; return its output."""
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


class Server:
    """A server process, which answers until it is closed."""

    def __init__(self, words: list[str]) -> None:
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class Host:
    """A host: a network namespace and a process that keeps it alive."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._keeper = subprocess.Popen(
            ["unshare", "-n", "sh", "-c", f"{UP}; echo; exec sleep infinity"], stdout=subprocess.PIPE
        )
        assert self._keeper.stdout is not None
        self._keeper.stdout.readline()
        self._servers: list[Server] = []

    @property
    def pid(self) -> int:
        return self._keeper.pid

    @property
    def _inside(self) -> list[str]:
        return ["/usr/bin/nsenter", "-t", str(self.pid), "-n"]

    def run(self, *words: str) -> str:
        """Run a program on this host; return its output."""
        return run(*self._inside, *words)

    def serve(self, protocol: str, address: str, port: int) -> None:
        """Start a server on this host that answers with the host's name and the client's address."""
        self._servers.append(Server([*self._inside, *_peer("serve", protocol, address, str(port), self.name)]))

    def ask(self, protocol: str, address: str, port: int) -> str:
        """Send a request from this host; return the answer, or the name of the error."""
        return self.run(*_peer("ask", protocol, address, str(port))).strip()

    def close(self) -> None:
        for server in self._servers:
            server.close()
        self._keeper.kill()
        self._keeper.communicate()


class Here(Host):
    """The host that this thread runs on."""

    def __init__(self) -> None:
        self.name = "here"
        self._servers = []

    @property
    def pid(self) -> int:
        return threading.get_native_id()

    @property
    def _inside(self) -> list[str]:
        return []

    def close(self) -> None:
        for server in self._servers:
            server.close()


def _peer(*words: str) -> list[str]:
    return [sys.executable, "-I", "-S", str(PEER), *words]


@contextmanager
def within(host: Host) -> Iterator[None]:
    """Move this thread into a host's network namespace for the duration of the block."""
    target = os.open(f"/proc/{host.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(target, CLONE_NEWNET)
        yield
    finally:
        setns(home, CLONE_NEWNET)
        os.close(home)
        os.close(target)


def cable(host: Host, outside: str, inside: str, addresses: tuple[str, ...], gateways: tuple[str, ...] = ()) -> None:
    """Connect this host (``outside``) by a veth pair to another one, which gets addresses and default routes."""
    run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", str(host.pid))
    run("ip", "link", "set", outside, "up")
    commands = [f"link set {inside} up"]
    for address in addresses:
        commands.append(f"address add {address} dev {inside}{' nodad' if ':' in address else ''}")
    commands += [f"route add default via {gateway} dev {inside}" for gateway in gateways]
    for command in commands:
        host.run("ip", *command.split())
