"""A thread's view inside ``with pod.enter(...)``, compared with that of util-linux's nsenter(1)."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from pypod import Pod, WrongState
from tests.facts import wait_until

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("nsenter") is None, reason="nsenter is not installed"),
]
# by namespace: a command whose output in the pod differs from that on the host
SHOWN = {
    "net": ("ip", "-json", "address"),
    "uts": ("uname", "-n"),
    "ipc": ("ipcs", "-q", "-l"),
    "cgroup": ("cat", "/proc/self/cgroup"),
}


def output(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def pod(engine, busybox: str) -> Pod:
    pod = engine.pods.create(
        "p", hostname="inside", share=("net", "uts", "ipc", "cgroup"), sysctls={"kernel.msgmax": "4711"}
    )
    pod.start()
    return pod


@pytest.mark.parametrize("kinds", [*((kind,) for kind in SHOWN), tuple(SHOWN)], ids=" ".join)
def test_both_see_the_same(pod: Pod, kinds: tuple[str, ...]) -> None:
    pid = pod.infra.state().pid
    entering = ("nsenter", "--target", str(pid), *(f"--{kind}" for kind in kinds))
    here = {kind: output(*SHOWN[kind]) for kind in kinds}
    with pod.enter(*kinds):
        ours = {kind: output(*SHOWN[kind]) for kind in kinds}
        links = {kind: os.readlink(f"/proc/thread-self/ns/{kind}") for kind in SHOWN}
    assert ours == {kind: output(*entering, *SHOWN[kind]) for kind in kinds}
    assert all(ours[kind] != here[kind] for kind in kinds)
    assert links == {kind: output(*entering, "readlink", f"/proc/self/ns/{kind}").rstrip() for kind in SHOWN}
    assert here == {kind: output(*SHOWN[kind]) for kind in kinds}  # the thread is back on the host


def test_both_refuse_what_has_ended(pod: Pod) -> None:
    pid = pod.infra.state().pid
    context = pod.enter("net")
    pod.stop(timeout=0)
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"))  # until then nsenter(1) finds what is left of the process
    assert subprocess.run(["nsenter", "-t", str(pid), "-n", "true"], capture_output=True, check=False).returncode == 1
    with pytest.raises(WrongState, match="is not running"), context:
        pass
