"""Devices of the host in containers and pods, and what may be done with them."""

from __future__ import annotations

import os
from typing import Any

import pytest

pytestmark = pytest.mark.root

FUSE = "/dev/fuse"
needs_fuse = pytest.mark.skipif(not os.path.exists(FUSE), reason="the host has no /dev/fuse")
# what opening the device tells, for reading and for writing
TRY = "(: <{0}) 2>/dev/null && echo r; (: >{0}) 2>/dev/null && echo w; true"


def output(engine, rootfs: str, script: str, **options: Any) -> str:
    container = engine.containers.run(["sh", "-c", script], rootfs=rootfs, **options)
    text = b"".join(piece.data for piece in container.logs(follow=True)).decode()
    assert container.wait(timeout=20) == 0, text
    return text


@needs_fuse
class TestDevices:
    @pytest.mark.parametrize("path", ["/dev/fuse", "/dev/x", "/dev/a/b/x", "/opt/x"])
    def test_the_same_device_under_any_name(self, engine, busybox: str, path: str) -> None:
        number = os.stat(FUSE).st_rdev
        shown = output(engine, busybox, f"stat -c '%F %t %T' {path}; {TRY.format(path)}", devices=(f"{FUSE}:{path}",))
        assert shown == f"character special file {os.major(number):x} {os.minor(number):x}\nr\nw\n"

    @pytest.mark.parametrize("access", ["r", "w", "rw"])
    def test_access(self, engine, busybox: str, access: str) -> None:
        shown = output(engine, busybox, TRY.format("/dev/x"), devices=(f"{FUSE}:/dev/x:{access}",))
        assert shown.replace("\n", "") == access

    def test_of_an_exec(self, engine, busybox: str) -> None:
        container = engine.containers.run(["sleep", "100"], rootfs=busybox, devices=(f"{FUSE}:r",))
        assert container.exec(["sh", "-c", TRY.format(FUSE)]).stdout == b"r\n"

    def test_the_host_s_node_cannot_be_changed(self, engine, busybox: str) -> None:
        before = os.stat(FUSE)
        output(engine, busybox, "chmod 777 /opt/x; chown 1 /opt/x; true", devices=(f"{FUSE}:/opt/x",))
        assert (os.stat(FUSE).st_mode, os.stat(FUSE).st_uid) == (before.st_mode, before.st_uid)

    def test_after_a_restart(self, engine, busybox: str) -> None:
        words = ["sh", "-c", f"{TRY.format('/opt/x')}; exec sleep 100"]
        container = engine.containers.run(words, rootfs=busybox, devices=(f"{FUSE}:/opt/x",))
        container.restart(0)
        assert container.exec(["sh", "-c", TRY.format("/opt/x")]).stdout == b"r\nw\n"

    def test_what_no_rule_names_cannot_be_opened(self, engine, busybox: str) -> None:
        """CAP_MKNOD alone makes nodes; podman's cgroup refuses their use."""
        script = f"mknod /dev/y c 10 229 && echo made; {TRY.format('/dev/y')}; {TRY.format('/dev/null')}"
        assert output(engine, busybox, script, cap_add=("MKNOD",)) == "made\nr\nw\n"  # of /dev/null
        rules = ("c 10:* r",)
        asked = {"cap_add": ("MKNOD",), "device_cgroup_rules": rules}
        assert output(engine, busybox, script, **asked) == "made\nr\nr\nw\n"

    def test_of_a_pod(self, engine, busybox: str) -> None:
        options = {"devices": (f"{FUSE}:/dev/x:r",), "security_opt": ("no-new-privileges", "mask=/proc/cpuinfo")}
        pod = engine.pods.create("box", network="none", **options)
        script = f"{TRY.format('/dev/x')}; ls /dev/y; grep NoNew /proc/self/status; head -c 1 /proc/cpuinfo"
        shown = output(engine, busybox, script, pod=pod, devices=("/dev/null:/dev/y",))
        assert shown == "r\n/dev/y\nNoNewPrivs:\t1\n"
        assert pod.inspect()["devices"] == [{"PathOnHost": FUSE, "PathInContainer": "/dev/x", "CgroupPermissions": ""}]


def test_a_terminal_with_rules(engine, busybox: str) -> None:
    shown = output(engine, busybox, "tty; echo x > /dev/tty", terminal=True, device_cgroup_rules=("c 10:* r",))
    assert shown == "/dev/pts/0\r\nx\r\n"


def test_all_of_the_host(engine, busybox: str) -> None:
    """Also those in directories, with their owners; under systemd no virtual consoles."""
    names = output(engine, busybox, "find /dev -type b -o -type c", privileged=True).split()
    assert {path for path in names if path.startswith("/dev/net/")} == (
        {"/dev/net/tun"} if os.path.exists("/dev/net/tun") else set()
    )
    consoles = {path for path in names if path.removeprefix("/dev/tty").isdecimal()}
    again = output(engine, busybox, "find /dev -type b -o -type c", privileged=True, systemd="always").split()
    assert set(names) - set(again) == consoles


@pytest.mark.parametrize(("kind", "command"), [("pid", "readlink /proc/self/ns/pid"), ("uts", "hostname")])
def test_namespaces_of_the_host_for_a_pod(engine, busybox: str, kind: str, command: str) -> None:
    of_host = {"pid": os.readlink("/proc/self/ns/pid"), "uts": os.uname().nodename}[kind]
    pod = engine.pods.create("box", network="none", share=("ipc", kind), **{kind: "host"})
    assert output(engine, busybox, command, pod=pod).strip() == of_host
    assert output(engine, busybox, command, pod=pod, **{kind: "private"}).strip() != of_host
    assert pod.inspect()["InfraConfig"][f"{kind}_ns"] == "host"


def test_the_pid_of_an_infra(engine, tmp_path) -> None:
    pod = engine.pods.create("box", network="none", infra_conmon_pidfile=tmp_path / "pid")
    pod.start()
    assert int((tmp_path / "pid").read_text()) == pod.infra.state().pid
