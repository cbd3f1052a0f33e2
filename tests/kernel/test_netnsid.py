"""The id by which a network namespace knows another, compared with what ip-link(8) shows for a veth into it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from pypod.kernel.namespaces import netnsid

pytestmark = pytest.mark.root
LINK = "pypod-nsid"


@pytest.fixture
def other() -> Iterator[int]:
    """Return the pid of a process in its own network namespace."""
    with subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()  # cat runs
        yield process.pid


def test_a_veth_has_the_kernel_give_one(other: int) -> None:
    path = f"/proc/{other}/ns/net"
    assert netnsid(path) == -1
    subprocess.run(f"ip link add {LINK} type veth peer name x netns {other}".split(), check=True)
    try:
        shown = subprocess.run(["ip", "-j", "link", "show", LINK], check=True, capture_output=True)
        assert netnsid(path) == json.loads(shown.stdout)[0]["link_netnsid"]
    finally:
        subprocess.run(["ip", "link", "delete", LINK], check=True)


@pytest.mark.parametrize("path", ["/proc/self/ns/uts", "/proc/self/ns/nothing"])
def test_what_is_no_network_namespace(path: str) -> None:
    assert netnsid(path) is None
