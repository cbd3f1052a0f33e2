"""Input that clients send to a container's monitor: nothing is lost, whichever client is slow or leaves."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time

import pytest

from pypod.errors import DeadlineExceeded, WrongState
from tests.integration.inside import execute, within, written

pytestmark = pytest.mark.root

CLIENTS = 8


def cpu_ticks(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_input_of_a_client_that_has_gone_still_arrives(box) -> None:
    data = os.urandom(100_000)
    container = box.engine.containers.run(
        ["sh", "-c", "while [ ! -e /go ]; do sleep 0.02; done; head -c 100000 | sha256sum"],
        rootfs=box.rootfs, interactive=True,
    )  # fmt: skip
    client = container.attach()
    client.send_input(data)  # more than the pipe holds: the rest waits in the monitor and in the socket
    client.close()
    supervisor = container.state().supervisor_pid
    before = cpu_ticks(supervisor)
    time.sleep(0.3)
    assert cpu_ticks(supervisor) - before <= 2, "the monitor must block, not spin"
    execute(container, "touch", "/go")
    with within(20):
        assert container.wait(15) == 0
    assert written(container).split()[0] == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(("end", "ended"), [("client.close()", False), ("os.kill(os.getpid(), 9)", True)])
def test_the_input_ends_with_a_client_that_goes_without_a_word(box, end: str, ended: bool) -> None:
    """As in conmon, a pipeline whose middle is killed ends. A client that detaches leaves the input to others."""
    container = box.engine.containers.run(["cat"], rootfs=box.rootfs, interactive=True)
    code = (
        "import os, sys; from pypod import Engine; e = Engine(sys.argv[1]); "
        f"client = e.containers.get(sys.argv[2]).attach(); client.send_input(b'typed\\n'); {end}"
    )
    subprocess.run([sys.executable, "-c", code, box.engine.layout.root, container.id], check=False)
    if ended:
        assert container.wait(10) == 0
        assert written(container) == "typed\n"
        return
    with pytest.raises(DeadlineExceeded):
        container.wait(0.3)
    client = container.attach()
    client.send_input(b"more\n")
    client.close_input()
    client.close()
    assert container.wait(10) == 0
    assert written(container) == "typed\nmore\n"


def test_clients_that_left_while_the_container_does_not_read_make_room(box) -> None:
    container = box.stay(interactive=True)
    for _ in range(3 * CLIENTS):
        client = container.attach()
        client.send_input(b"x" * 20_000)
        client.close()
    clients = [container.attach() for _ in range(CLIENTS)]
    with pytest.raises(WrongState, match="takes no more clients"):
        container.attach()
    for client in clients:
        client.close()
    container.stop(0)
    assert container.wait(5) == 137
