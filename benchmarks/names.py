"""How long does a name server take to answer? pypod's, compared with podman's (aardvark-dns), queried from a pod."""

from __future__ import annotations

import _socket
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from benchmarks.harness import PODMAN, PYPOD, Clock, Goal, Report, Settings, Unavailable, compete, note_reasons, rows
from benchmarks.workspace import OwnNetwork, Workspace

if TYPE_CHECKING:
    from typing import Self

    from pypod import Engine, Pod

SIZES = (1, 300)
_AARDVARK = "/usr/lib/podman/aardvark-dns"
_OWN, _THEIRS = "own", "theirs"  # networks: one served by our name server, one by podman's
_SUBNETS = {_OWN: "10.89.240.0/22", _THEIRS: "10.89.244.0/22"}
_GATEWAYS = {_OWN: "10.89.240.1", _THEIRS: "10.89.244.1"}
_OF_A_TURN = 20
_PORT = 53
_TIMEOUT_S = 3.0
# A datagram can be lost: the IPv6 multicasts of 300 new interfaces fill a queue of the kernel (netdev_max_backlog).
_ATTEMPTS = 2
_QUESTIONS = {"a name": "pod-0", "a name in dns.podman": "pod-0.dns.podman", "nobody's name": "nobody"}


def _operations(size: int) -> list[str]:
    found = [f"{what}, {size} pods" for what in (*_QUESTIONS, "a name over TCP")]
    return [*found, f"a name after a pod came, {size} pods"]


def _message(name: str) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", os.getpid() & 0xFFFF, 0x0100, 1, 0, 0, 0) + labels + struct.pack(">xHH", 1, 1)


class Asked:
    """A name server, queried from a pod's network namespace: a socket stays in the namespace that it was created in."""

    every = 1

    def __init__(self, name: str, client: Pod, server: str, size: int) -> None:
        self.name = name
        self._client = client
        self._server = server
        self._size = size
        self.lost = 0

    def __enter__(self) -> Self:
        with self._client.enter("net"):
            self._udp = socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
            self._udp.settimeout(_TIMEOUT_S)
            self._udp.connect((self._server, _PORT))
        deadline = time.monotonic() + _TIMEOUT_S
        while not self._answers():
            if time.monotonic() > deadline:
                self._udp.close()
                raise Unavailable("does not answer")
            time.sleep(0.05)
        return self

    def _answers(self) -> bool:
        try:
            return self._ask("pod-0")[7] == 1
        except OSError:  # it is not listening yet
            return False

    def __exit__(self, *_: object) -> None:
        self._udp.close()

    def _ask(self, name: str) -> bytes:
        for _ in range(_ATTEMPTS):
            self._udp.send(_message(name))
            with suppress(TimeoutError):
                return self._udp.recv(4096)
            self.lost += 1
        raise TimeoutError(f"{self.name} did not answer a query for {name}")

    def turn(self, clock: Clock) -> None:
        """Send some queries of each kind."""
        for what, name in _QUESTIONS.items():
            for _ in range(_OF_A_TURN):
                with clock.time(f"{what}, {self._size} pods"):
                    answer = self._ask(name)
                assert answer[7] == (name != "nobody"), answer
        with suppress(ConnectionRefusedError):  # aardvark-dns 1.4 serves UDP only
            self._over_tcp(clock)

    def _over_tcp(self, clock: Clock) -> None:
        with self._client.enter("net"):
            tcp = socket.create_connection((self._server, _PORT), _TIMEOUT_S)
        with tcp:
            message = _message("pod-0")
            for _ in range(_OF_A_TURN):
                with clock.time(f"a name over TCP, {self._size} pods"):
                    tcp.sendall(struct.pack(">H", len(message)) + message)
                    answer = tcp.recv(4096)
                assert answer[2 + 7] == 1, answer


class Own(Asked):
    """pypod's name server, started by an engine."""

    def __init__(self, engine: Engine, client: Pod, size: int) -> None:
        super().__init__(PYPOD, client, _GATEWAYS[_OWN], size)
        self._engine = engine

    def turn(self, clock: Clock) -> None:
        """Send queries, and one for a pod that has just started: the server reads the store again."""
        super().turn(clock)
        pod = self._engine.pods.create("late", network=_OWN)
        try:
            pod.start()
            with clock.time(f"a name after a pod came, {self._size} pods"):
                answer = self._ask("late")
            assert answer[7] == 1
        finally:
            pod.remove(force=True, timeout=0)


class Aardvark(Asked):
    """podman's name server, with the same pods in its configuration file."""

    def __init__(self, place: Workspace, pods: list[Pod], size: int) -> None:
        super().__init__(PODMAN, pods[0], _GATEWAYS[_THEIRS], size)
        self._directory = place.make(f"aardvark-{size}")
        self._pods = pods

    def __enter__(self) -> Self:
        if not os.path.exists(_AARDVARK):
            raise Unavailable("aardvark-dns is not installed")
        lines = [_GATEWAYS[_THEIRS]]
        lines += [f"{pod.id} {pod.addresses[_THEIRS][0]}  {pod.name}" for pod in self._pods]
        with open(f"{self._directory}/{_THEIRS}", "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        words = (_AARDVARK, "--config", self._directory, "--port", str(_PORT), "run")
        subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)  # it daemonizes
        try:
            return super().__enter__()
        except Unavailable:
            self._end()
            raise

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._end()

    def _end(self) -> None:
        with suppress(FileNotFoundError, ProcessLookupError), open(f"{self._directory}/aardvark.pid") as file:
            os.kill(int(file.read()), signal.SIGKILL)


def measure(settings: Settings) -> Report:
    """Return the times of answers, with one pod on the network and with many."""
    report = Report("names", "The answer of a name server, asked from a pod, ms")
    sizes = (1, 20) if settings.quick else SIZES
    if shutil.which("nft") is None:
        raise Unavailable("nft (Debian: nftables) is not installed")
    with Workspace(settings.directory) as place, OwnNetwork() as network, network.entered():
        from pypod import Engine

        with Engine(f"{place.directory}/pypod") as engine:
            for name, subnet in _SUBNETS.items():
                engine.networks.create(name, subnets=[subnet], dns=name == _OWN)
            try:
                for size in sizes:
                    _measure(report, settings, place, engine, size)
            finally:
                for pod in engine.pods.list():
                    pod.remove(force=True, timeout=0)
                for name in _SUBNETS:
                    engine.networks.get(name).remove(force=True)
    goals = {one: Goal(limit=0.5) for size in sizes for one in _operations(size)[:-1]}
    report.compare(goals | {_operations(size)[-1]: Goal(limit=100) for size in sizes})
    report.notes.append("podman is its name server, aardvark-dns, run by itself on a file that names the same pods")
    return report


def _measure(report: Report, settings: Settings, place: Workspace, engine: Engine, size: int) -> None:
    while len(engine.pods.list()) < size:
        number = len(engine.pods.list())
        engine.pods.create(f"pod-{number}", network=[_OWN, _THEIRS]).start()
    pods = engine.pods.list()
    contestants = (Own(engine, pods[0], size), Aardvark(place, pods, size))
    samples, reasons = compete(contestants, settings.choose(50, 5), progress=f"{report.name}, {size} pods")
    report.rows += rows(_operations(size), contestants, samples, reasons)
    report.notes += note_reasons(reasons)
    report.notes += [f"{one.lost} questions to {one.name} were lost and asked again" for one in contestants if one.lost]
