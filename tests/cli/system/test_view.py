"""view: the page, the requests that it refuses, and a browser that follows it."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.cli.browser import Browser
from tests.cli.program import Program
from tests.facts import wait_until

pytestmark = pytest.mark.root


class Viewed:
    """A running ``pypod view``."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        assert process.stdout is not None
        self.address = process.stdout.readline().decode().strip()
        parts = urlsplit(self.address)
        self.host, self.port, self.path = parts.hostname or "", parts.port or 0, parts.path

    def ask(self, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        connection.request(method, path, headers=headers)
        return connection.getresponse()


@pytest.fixture
def pypod(engine) -> Program:
    return Program(engine.layout.root)


@pytest.fixture
def pod(engine, busybox):
    pod = engine.pods.create("mipod")
    pod.run(["sleep", "1000"], rootfs=busybox, name="web")
    return pod


@pytest.fixture
def viewed(pod, pypod) -> Iterator[Viewed]:
    process = pypod.start("view", "mipod", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield Viewed(process)
    finally:
        process.kill()
        process.communicate()


def test_the_page_shows_the_pod(viewed: Viewed, pod) -> None:
    answer = viewed.ask(viewed.path)
    text = answer.read().decode()
    assert answer.status == 200
    assert "<svg" in text
    assert f"pid {pod.containers()[0].state().pid}" in text
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]) == ("no-store", "no-referrer")


def test_only_who_has_the_address_sees_it(viewed: Viewed) -> None:
    token = viewed.path.strip("/")
    assert len(token) >= 32
    for path in (
        "/",
        "/live",
        f"/{token[:-1]}/",
        f"/{token}x/",
        f"/{token}",
        f"/{token}/../",
        f"/{token}/etc",
        "//",
        "/%ff/",
    ):
        answer = viewed.ask(path)
        assert (answer.status, b"mipod" in answer.read()) == (404, False), path
    assert b"mipod" not in viewed.ask("/").read()


def test_it_only_reads(viewed: Viewed) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"):
        assert viewed.ask(viewed.path, method).status == 501, method


def test_another_name_for_this_host_is_refused(viewed: Viewed) -> None:
    """Another page could let a name of its own resolve to 127.0.0.1."""
    for host in ("evil.example", f"evil.example:{viewed.port}", "127.0.0.1", "", f"127.0.0.2:{viewed.port}"):
        assert viewed.ask(viewed.path, Host=host).status == 421, host
    assert viewed.ask(viewed.path, Host=f"localhost:{viewed.port}").status == 200


def test_it_listens_on_this_host_only(viewed: Viewed) -> None:
    listening = subprocess.run(
        ["ss", "-Hltn", f"sport = :{viewed.port}"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert listening[3] == f"127.0.0.1:{viewed.port}"


def test_changes_come_by_themselves(viewed: Viewed, pod, busybox) -> None:
    answer = viewed.ask(f"{viewed.path}live")
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert b"web" in _event(answer)
    pod.run(["sleep", "1000"], rootfs=busybox, name="newcomer")
    started = time.monotonic()
    while b"newcomer" not in _event(answer):
        assert time.monotonic() < started + 5
    pod.remove(force=True, timeout=0)
    while b"mipod: removed" not in _event(answer):
        assert time.monotonic() < started + 10


def _event(answer: http.client.HTTPResponse) -> bytes:
    line = answer.readline()
    assert line.startswith(b"data: ")
    assert answer.readline() == b"\n"
    return line


def test_many_clients_and_silent_ones(viewed: Viewed) -> None:
    """Clients beyond a limit are turned away; the page is available again once others have left."""
    idle = [socket.create_connection((viewed.host, viewed.port)) for _ in range(40)]
    time.sleep(0.3)
    threads = len(os.listdir(f"/proc/{viewed.process.pid}/task"))
    assert threads <= 17
    for one in idle:
        one.close()
    wait_until(lambda: len(os.listdir(f"/proc/{viewed.process.pid}/task")) == 1)
    assert viewed.ask(viewed.path).status == 200


def test_control_c_ends_it(viewed: Viewed) -> None:
    live = viewed.ask(f"{viewed.path}live")
    _event(live)
    viewed.process.send_signal(signal.SIGINT)
    assert viewed.process.wait(10) == 0
    assert viewed.process.stderr is not None
    assert viewed.process.stderr.read() == b""


def test_what_it_does_not_know(engine, pypod) -> None:
    done = pypod("view", "nobody")
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr == "Error: no pod with name or ID nobody found: no such pod\n"
    assert pypod("view").returncode == 125
    engine.pods.create("p")
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        done = pypod("view", "--port", str(port), "p")
        assert (done.returncode, done.stderr) == (
            125, f"Error: listen on 127.0.0.1:{port}: Address already in use\n",
        )  # fmt: skip
    assert pypod("view", "--port", "70000", "p").returncode == 125


def test_in_a_browser(viewed: Viewed, pod, busybox, tmp_path) -> None:
    """The page is loaded once and then updated live. A hostile command remains text."""
    with Browser(tmp_path / "profile") as browser:
        browser.open(viewed.address)
        wait_until(lambda: ">web</text>" in browser.document(), 20)
        wait_until(lambda: "Live: changes are shown" in browser.document(), 20)
        hostile = "sleep 1000; : <img src=x onerror=document.title='owned'>"
        pod.run(["sh", "-c", hostile], rootfs=busybox, name="late")
        wait_until(lambda: ">late</text>" in browser.document(), 20)
        # the first picture of the container may predate its exec
        shown = "document.querySelector('main').textContent.includes('<img src=x')"
        wait_until(lambda: browser.evaluate(shown), 20)
        assert browser.evaluate("document.images.length") == 0
        assert browser.evaluate("document.title") == "pod mipod"
        viewed.process.kill()
        wait_until(lambda: "Not live any more" in browser.document(), 20)
