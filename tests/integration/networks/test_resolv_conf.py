"""/etc/resolv.conf in a container, whatever the host's looks like."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pypod.engine.networks import etc_files
from pypod.engine.networks.etc_files import Resolver, parse_resolv_conf

pytestmark = pytest.mark.root

PUBLIC = "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"


def inside(engine, busybox: str, network: str, **options) -> str:
    container = engine.containers.create(["cat", "/etc/resolv.conf"], rootfs=busybox, network=network, **options)
    container.start()
    container.wait(10)
    return b"".join(piece.data for piece in container.logs()).decode()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a path that stands for the host's file; the test writes it."""
    path = tmp_path / "resolv.conf"
    read = etc_files._host_file
    monkeypatch.setattr(etc_files, "_host_file", lambda name: read(str(path) if name == "/etc/resolv.conf" else name))
    return path


@pytest.mark.usefixtures("own_network")
@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda _: None, PUBLIC),
        (lambda path: path.mkdir(), PUBLIC),
        (os.mkfifo, PUBLIC),  # nothing writes to it
        (lambda path: path.symlink_to("/nowhere"), PUBLIC),
        (lambda path: path.write_bytes(b"nameserver garbage\nnameserver 1.2.3\nnameserver 1.2.3.4\0\n\xff\n"), PUBLIC),
        (lambda path: path.write_text("nameserver ::1\nnameserver 127.0.0.53\n"), PUBLIC),
        (lambda path: path.write_text("nameserver x\nnameserver 192.0.2.1 # y\n"), "nameserver 192.0.2.1\n"),
    ],
    ids=["none", "directory", "pipe", "dangling", "garbage", "loopback", "one"],
)
def test_whatever_the_host_has(engine, busybox: str, host: Path, made, expected: str) -> None:
    made(host)
    assert inside(engine, busybox, "podman") == expected


@pytest.mark.usefixtures("own_network")
def test_servers_that_were_asked_for_know_nothing_of_the_networks_domain(engine, busybox: str, host: Path) -> None:
    host.write_text("search lan\n")
    engine.networks.create("blue", subnets=["10.99.0.0/24"])
    assert inside(engine, busybox, "blue") == "search dns.podman lan\nnameserver 10.99.0.1\n"
    assert inside(engine, busybox, "blue", dns=["192.0.2.1"]) == "search lan\nnameserver 192.0.2.1\n"


def test_of_several_lines_the_last_counts() -> None:
    text = "search a b\nnameserver fe80::1%eth0\noptions x\n# nameserver 192.0.2.9\ndomain c\noptions y z\nsortlist w\n"
    assert parse_resolv_conf(text) == Resolver(servers=("fe80::1%eth0",), search=("c",), options=("y", "z"))
