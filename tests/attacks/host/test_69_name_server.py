"""Malformed queries, amplification, and idle or greedy connections to a network's name server."""

from __future__ import annotations

import os
import random
import select
import socket
import struct
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from pypod.engine.networks.names import service
from tests import dns
from tests.facts import wait_until
from tests.integration.networks.test_names import BLUE, addresses, blue, no_server_left, pod_on, server_up

__all__ = ["blue", "no_server_left"]

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("own_network", "no_server_left")]

ANSWERED_S = 0.2  # normally milliseconds, with a margin for a busy machine
OF_ONE = 16  # connections from one address


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def fds(engine) -> int:
    return len(os.listdir(f"/proc/{service.info(engine).pid}/fd"))


def assert_answers(engine, pod, times: int = 20) -> None:
    """Assert that answers are correct and that most of them arrive within milliseconds."""
    took = []
    for _ in range(times):
        before = time.monotonic()
        assert dns.ask(BLUE, "web").data == [addresses(engine, pod)[0]]
        took.append(time.monotonic() - before)
    assert sorted(took)[times // 2] < ANSWERED_S
    assert Path(engine.layout.names, "errors.log").read_text() == ""


def is_full(client: socket.socket, data: bytes) -> bool:
    """Return whether nothing more can be sent for a while because the peer does not read."""
    try:
        client.send(data)
    except BlockingIOError:
        time.sleep(0.1)
    else:
        return False
    return not select.select([], [client], [], 0)[1]


@pytest.fixture
def pod(engine, blue):
    return pod_on(engine, blue, name="web")


def is_heard() -> bool:
    try:
        return bool(dns.ask(BLUE, "web", timeout_s=0.5).data)
    except TimeoutError:
        return False


def malformed(chance: random.Random) -> bytes:
    """Return a query with some bytes changed, truncated, or with a name whose compression pointers loop."""
    kind = chance.choice((dns.A, dns.AAAA, dns.ANY, dns.PTR, dns.AXFR))
    data = bytearray(dns.question("web", kind, edns=chance.choice((0, 4096))))
    for _ in range(chance.randrange(1, 6)):
        data[chance.randrange(len(data))] = chance.choice((0, 0xC0, 0xFF, chance.randrange(256)))
    if chance.random() < 0.2:
        data[12:14] = b"\xc0\x0c"  # a pointer to itself
    return bytes(data[: chance.randrange(len(data) + 1)] if chance.random() < 0.4 else data)


def test_malformed_questions(engine, pod, full: bool) -> None:
    seed = os.environ.get("PYPOD_TEST_SEED") or str(random.SystemRandom().randrange(1 << 32))
    print(f"PYPOD_TEST_SEED={seed}")
    chance = random.Random(seed)  # noqa: S311  # not a secret
    server = server_up(engine)
    before = resident_bytes(server.pid)
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client:
        client.connect((BLUE, 53))
        for _ in range(60_000 if full else 6_000):
            client.send(malformed(chance))
        for data in (b"", b"\0" * 12, b"\xff" * 600, dns.question("web")[:-3], os.urandom(4096), b"\0" * 65000):
            client.send(data)
        wait_until(is_heard)  # queries that arrive while the socket buffer is full of malformed ones are lost
        assert_answers(engine, pod)
    assert service.info(engine).pid == server.pid
    assert resident_bytes(server.pid) < before + (8 << 20)


def test_a_small_question_brings_about_no_large_answer(engine, blue, pod) -> None:
    """Source addresses are easily forged, and the owner of a forged address gets the answer."""
    sharing = [pod_on(engine, blue, aliases=("shared",)) for _ in range(3)]
    assert len(dns.ask(BLUE, "shared").data) == len(sharing)
    for source, factor in (("", 8), ("127.0.0.9", 1)):  # from the network, and from elsewhere
        for kind in (dns.A, dns.AAAA, dns.ANY, dns.NS, dns.SOA, dns.AXFR):
            for name in ("web", "shared", "nosuch", "", "version.bind"):
                asked = dns.question(name, kind)
                assert len(reply(asked, source)) <= factor * len(asked), (source, kind, name)


def reply(asked: bytes, source: str) -> bytes:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client:
        client.settimeout(3)
        client.bind((source, 0))
        client.connect((BLUE, 53))
        client.send(asked)
        return client.recv(65535)


def test_connections_that_are_never_used(engine, pod) -> None:
    """Connections from many addresses, none of which exceeds its share."""
    with ExitStack() as stack:
        for number in range(199):
            source = f"127.0.0.{2 + number // OF_ONE}"
            stack.enter_context(socket.create_connection((BLUE, 53), 5, source_address=(source, 0)))
        assert_answers(engine, pod)
        assert fds(engine) < 200
        before = time.monotonic()
        assert dns.ask_over_tcp(BLUE, "web")[0].data == [addresses(engine, pod)[0]]
        assert time.monotonic() - before < 2


def test_one_address_gets_its_share(engine, pod) -> None:
    idle = [socket.create_connection((BLUE, 53)) for _ in range(40)]
    try:
        assert_answers(engine, pod)
        assert fds(engine) < 60
        assert dns.ask_over_tcp(BLUE, "web")[0].data == [addresses(engine, pod)[0]]
    finally:
        for one in idle:
            one.close()


def test_questions_over_tcp_that_end_early_or_make_no_sense(engine, pod) -> None:
    with socket.create_connection((BLUE, 53)) as cut:
        cut.sendall(b"\0\x50abc")
        with socket.create_connection((BLUE, 53)) as nonsense:
            nonsense.sendall(b"\0\3abc")
            nonsense.settimeout(3)
            assert nonsense.recv(1) == b""
        assert_answers(engine, pod)


def test_answers_that_nobody_takes(engine, pod) -> None:
    message = dns.question("web")
    with socket.create_connection((BLUE, 53)) as flood:
        flood.setblocking(False)
        wait_until(lambda: is_full(flood, (struct.pack(">H", len(message)) + message) * 1000))
        assert_answers(engine, pod)
        assert dns.ask_over_tcp(BLUE, "web")[0].data == [addresses(engine, pod)[0]]
