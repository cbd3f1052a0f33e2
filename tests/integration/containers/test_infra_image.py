"""--infra-image: the infra runs an image's command in the image's files, and holds the same namespaces."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from pypod.engine.images.pulling import pull
from pypod.engine.lifecycle import patience
from pypod.errors import InUse, InvalidSpec, LaunchFailed, Unsupported
from tests import users
from tests.facts import wait_until
from tests.images.made import busybox_image, layer

pytestmark = pytest.mark.root

NAME = "localhost/infra:1"
CONFIG = {
    "Entrypoint": ["sleep"],
    "Cmd": ["1000"],
    "User": "33",
    "Env": ["FROM=image"],
    "WorkingDir": "/var",
    "Volumes": {"/data": {}},
}


@pytest.fixture
def image(engine, busybox):
    found = busybox_image(busybox, layer({"marked": b"the image's\n"}), config=CONFIG)
    pull(engine, found, "image", names=[NAME])
    return engine.images.get(NAME)


def namespaces(pid: int, *kinds: str) -> dict[str, str]:
    return {kind: str(Path(f"/proc/{pid}/ns/{kind}").readlink()) for kind in kinds}


def test_it_runs_the_images_command_in_the_images_files(engine, image) -> None:
    with engine.pods.create("p", infra_image=NAME, shm_size=1 << 20) as pod:
        pod.start()
        pid = pod.infra.state().pid
        assert Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\0001000\0"
        inside = Path(f"/proc/{pid}/root")
        assert (inside / "marked").read_text() == "the image's\n"
        assert b"FROM=image\0" in Path(f"/proc/{pid}/environ").read_bytes()
        assert Path(f"/proc/{pid}/cwd").readlink() == Path("/var")
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        assert status["Uid"].split() == ["33"] * 4
        assert {status[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        for place in ("new", "etc/new", "var/new"):
            with pytest.raises(OSError, match="Read-only file system"):
                (inside / place).write_text("x")
        mounts = {line.split()[1] for line in Path(f"/proc/{pid}/mounts").read_text().splitlines()}
        assert not {"/sys", "/etc/hosts", "/data"} & mounts


def test_members_join_what_it_holds(engine, image, busybox) -> None:
    with engine.pods.create("p", infra_image=image) as pod:
        member = pod.run(["sh", "-c", "echo x >/dev/shm/shared; hostname; exec sleep 1000"], rootfs=busybox)
        infra, own = pod.infra.state().pid, member.state().pid
        shared = Path(f"/proc/{infra}/root/dev/shm/shared")
        wait_until(shared.exists)
        assert shared.read_text() == "x\n"
        assert namespaces(infra, "net", "ipc", "uts") == namespaces(own, "net", "ipc", "uts")
        assert not set(namespaces(infra, "pid", "mnt").values()) & set(namespaces(own, "pid", "mnt").values())
        assert not set(namespaces(infra, "net", "ipc", "uts").values()) & set(
            namespaces(os.getpid(), "net", "ipc", "uts").values()
        )


def test_a_command_of_the_pods_replaces_the_images(engine, image, monkeypatch) -> None:
    with engine.pods.create("p", infra_image=image, infra_command=["tail", "-f", "/marked"]) as pod:
        pod.start()
        pid = pod.infra.state().pid
        assert Path(f"/proc/{pid}/cmdline").read_bytes() == b"tail\0-f\0/marked\0"
        # the first process of a PID namespace never receives a TERM that it does not handle, so it is not waited for
        monkeypatch.setattr(patience, "STARTING_S", 0.0)
        before = time.monotonic()
        pod.stop()
        assert time.monotonic() - before < 0.9
        assert pod.infra.state().exit_code == 137


def test_it_is_shown_and_keeps_its_image(engine, image) -> None:
    from tests.cli.program import Program

    pypod = Program(engine.layout.root)
    pod = pypod.ok("create", "--name", "p", "--infra-image", "infra:1").strip()
    assert pypod.ok("ps", "-a", "--format", "{{.Image}} {{.Command}} {{.Names}}") == f"{NAME} 1000 {pod[:12]}-infra\n"
    shown = pypod.ok(
        "inspect", "--format", "{{.ImageName}} {{.Image}} {{.Path}} {{.Args}} {{.IsInfra}}", f"{pod[:12]}-infra"
    )
    assert shown == f"{NAME} {image.id} sleep [1000] true\n"
    with pytest.raises(InUse):
        image.remove()
    assert pypod.ok("pod", "start", "p") == f"{pod}\n"
    assert pypod.ok("pod", "ps", "--format", "{{.Status}}") == "Running\n"
    assert pypod.ok("exec", f"{pod[:12]}-infra", "cat", "/marked") == "the image's\n"
    assert pypod.ok("pod", "rm", "-f", "p") == f"{pod}\n"
    image.remove()


def test_sysctls_are_set_and_what_is_not_shared_is_the_hosts(engine, image) -> None:
    path = "/proc/sys/net/ipv4/ip_forward"
    other = "0" if Path(path).read_text() == "1\n" else "1"
    with engine.pods.create("p", infra_image=image, share="net", sysctls={"net.ipv4.ip_forward": other}) as pod:
        pod.start()
        pid = pod.infra.state().pid
        # a reader sees the settings of its own network namespace, whichever /proc it reads
        inside = subprocess.check_output(["nsenter", "-t", str(pid), "-n", "cat", path], text=True)
        assert inside == f"{other}\n"
        assert namespaces(pid, "ipc", "uts", "cgroup") == namespaces(os.getpid(), "ipc", "uts", "cgroup")


def test_what_is_refused(engine, image, busybox) -> None:
    with pytest.raises(InvalidSpec, match="cannot set infra-image without infra container"):
        engine.pods.create("p", infra=False, infra_image=image)
    with pytest.raises(Unsupported, match="user namespace"):
        engine.pods.create("p", infra_image=image, share="net,user")
    pull(engine, busybox_image(busybox, config={"Cmd": None}), "image", names=["localhost/silent:1"])
    with pytest.raises(InvalidSpec, match="no command or entrypoint"):
        engine.pods.create("p", infra_image="silent:1")
    assert engine.pods.list() == []


@pytest.mark.parametrize("link", ["/etc", "../../../etc", "/proc/1/root/etc"])
def test_an_image_cannot_move_the_pods_shm_out(engine, busybox, link: str) -> None:
    """/dev is a link there, and the files for the members' /dev/shm would end up at its target."""
    bring_linked(engine, busybox, link)
    with users.unchanged():
        before = sorted(Path("/etc").iterdir())
        with engine.pods.create("p", infra_image=NAME) as pod, pytest.raises(LaunchFailed, match="openat2: Too many"):
            pod.start()
        assert sorted(Path("/etc").iterdir()) == before


def bring_linked(engine, busybox: str, link: str) -> None:
    made = busybox_image(busybox, layer({"dev": link}), config={"Entrypoint": ["sleep"], "Cmd": ["1000"]})
    pull(engine, made, "image", names=[NAME])
