"""Pods and containers in a notebook: the picture matches the kernel's state."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET

import pytest

from tests.facts import kill_and_wait

pytestmark = pytest.mark.root


def test_a_pod(engine, busybox) -> None:
    pod = engine.pods.create("mipod")
    web = pod.run(["sleep", "1000"], rootfs=busybox, name="web")
    pod.create_container(["true"], rootfs=busybox, name="later")
    seen = pod.picture()
    assert [(one.name, one.role, one.pid) for one in seen.parts] == [
        ("host", "host", os.getpid()),
        ("infra", "infra", pod.infra.state().pid),
        ("web", "member", web.state().pid),
        ("later", "member", 0),
    ]
    assert seen.parts[2].monitor_pid == int(_parent_of(web.state().pid))
    assert seen.parts[2].command == "sleep 1000"
    net = next(band for band in seen.bands if band.kind == "net")
    assert net.inodes == (
        os.stat("/proc/self/ns/net").st_ino, *[os.stat(f"/proc/{web.state().pid}/ns/net").st_ino] * 2, None,
    )  # fmt: skip
    assert [band.kind for band in seen.bands][:3] == ["net", "ipc", "uts"], "shared namespaces must come first"
    text = "".join(ET.fromstring(pod._repr_html_()).itertext())
    assert f"pid {web.state().pid}" in text
    assert "created" in text


def test_a_broken_pod_and_one_that_is_gone(engine, busybox) -> None:
    pod = engine.pods.create("mipod")
    pod.run(["sleep", "1000"], rootfs=busybox, name="web")
    kill_and_wait(pod.infra.state().pid)
    assert "Broken" in pod._repr_html_()
    assert "infra: exited (unknown)" in str(pod.picture())
    pod.remove(force=True)
    assert pod._repr_html_() == "<p>pod mipod: removed</p>"


def test_more_members_than_fit(engine, busybox) -> None:
    pod = engine.pods.create("big")
    for number in range(14):
        pod.create_container(["true"], rootfs=busybox, name=f"m{number}")
    assert (len(pod.picture().parts), pod.picture().left_out) == (12, 4)
    assert "and 4 more" in pod._repr_html_()
    assert "and 4 more" in str(pod.picture())


def test_a_container(engine, busybox) -> None:
    container = engine.containers.run(["sh", "-c", "sleep 1000; : # </table><script>"], rootfs=busybox, name="c")
    rows = {row[0].text: row[1].text for row in ET.fromstring(container._repr_html_()).findall("tbody/tr")}
    assert rows["pid"] == str(container.state().pid)
    assert rows["command"] == "sh -c sleep 1000; : # </table><script>"
    assert rows["net namespace"] == str(container.namespaces()["net"])
    assert rows["user namespace"] == f"{container.namespaces()['user']} the host's"
    container.remove(force=True)
    assert container._repr_html_() == "<p>container c: removed</p>"


def _parent_of(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[1]
