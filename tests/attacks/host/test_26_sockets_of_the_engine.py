"""Sockets of the engine visible in a pod's network namespace, above all abstract ones (CVE-2020-15257)."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from tests.integration.inside import Report, execute

pytestmark = pytest.mark.root


def test_no_socket_of_the_engine_is_in_the_pods_network(box) -> None:
    pod = box.engine.pods.create()
    container = pod.run(["/probe", "stay"], rootfs=box.rootfs, interactive=True)
    with closing(container.attach()):
        listed = execute(container, "cat", "/proc/net/unix").splitlines()
    assert len(listed) == 1, f"there must be only the heading: {listed}"


def test_no_socket_file_of_the_engine_is_in_a_container(box) -> None:
    """Check sockets with a path: the monitor's, to which a client is attached, and any other in the storage."""
    pod = box.engine.pods.create()
    container = pod.run(["/probe", "stay"], rootfs=box.rootfs, interactive=True, terminal=True)
    with closing(container.attach()):
        assert execute(container, "find", "/", "-xdev", "-type", "s") == ""
        mounts = Report(execute(container, "/probe")).mounts
        assert [target for target in mounts if execute(container, "find", target, "-xdev", "-type", "s")] == []


def test_a_socket_that_was_opened_there_is_seen(box) -> None:
    """Sanity check: the listing is not empty for lack of the right to read it."""
    pod = box.engine.pods.create()
    container = pod.run(["/probe", "stay"], rootfs=box.rootfs)
    with container.enter("net"), closing(socket.socket(socket.AF_UNIX)) as made:
        made.bind("\0pypod-attack")
        listed = execute(container, "cat", "/proc/net/unix")
    assert "@pypod-attack" in listed
