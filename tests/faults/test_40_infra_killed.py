"""The infra of a pod is killed: a pod never has two network namespaces, joining is refused, a restart repairs it."""

from __future__ import annotations

import pytest

from pypod import PodBroken
from tests.facts import created_nothing, is_there, kill_and_wait

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")


def test_with_living_members_the_pod_is_broken(engine, busybox) -> None:
    pod = engine.pods.create("p")
    first, second = (pod.run(SLEEP, rootfs=busybox) for _ in range(2))
    net = first.namespaces()["net"]
    kill_and_wait(pod.state().infra.pid)
    assert pod.status == "Broken"
    assert pod.state().infra.exit_code_known is False
    assert first.exec(["true"]).exit_code == 0
    second.stop(timeout=0)
    for join in (
        lambda: pod.run(SLEEP, rootfs=busybox, name="third"),
        second.start,
        pod.start,
        pod.infra.start,
    ):
        with pytest.raises(PodBroken) as caught:
            join()
        assert caught.value.ref == "p"
        assert "restart" in caught.value.hint
    assert pod.status == "Broken"
    assert pod.namespaces()["net"] == {first.name: net}
    assert not engine.containers.exists("third")

    with open(f"/proc/{first.state().pid}/ns/net", "rb"):  # while it is open, no other namespace gets its inode number
        pod.restart(timeout=0)
        assert pod.status == "Running"
        inodes = set(pod.namespaces()["net"].values())
        assert len(inodes) == 1
        assert net not in inodes


def test_a_member_is_not_stopped_when_it_could_not_be_started_again(engine, busybox) -> None:
    pod = engine.pods.create("p")
    first, second = (pod.run(SLEEP, rootfs=busybox) for _ in range(2))
    kill_and_wait(pod.state().infra.pid)
    with pytest.raises(PodBroken):
        first.restart(timeout=0)
    assert first.state().running
    with pytest.raises(PodBroken):
        pod.enter("net").__enter__()
    # the last one takes the old namespaces with it
    second.stop(timeout=0)
    first.restart(timeout=0)
    assert pod.status == "Degraded"
    assert pod.infra.state().running


def test_without_living_members_it_is_started_anew(engine, busybox) -> None:
    pod = engine.pods.create()
    member = pod.run(SLEEP, rootfs=busybox)
    member.stop(timeout=0)
    kill_and_wait(pod.state().infra.pid)
    assert pod.status == "Exited"
    member.start()
    assert pod.status == "Running"
    assert len(set(pod.namespaces()["net"].values())) == 1


def test_a_shared_pid_namespace_takes_the_members_along(engine, busybox) -> None:
    pod = engine.pods.create(share="net,pid")
    member = pod.run(SLEEP, rootfs=busybox)
    kill_and_wait(pod.state().infra.pid)
    assert member.wait(5) == 137
    assert pod.status == "Exited"
    member.start()
    assert pod.status == "Running"


@pytest.mark.parametrize("end", ["stop", "remove"])
def test_a_broken_pod_ends(engine, busybox, end: str) -> None:
    pod = engine.pods.create()
    member = pod.run(SLEEP, rootfs=busybox)
    pid = member.state().pid
    kill_and_wait(pod.state().infra.pid)
    if end == "stop":
        pod.stop(timeout=0)
        assert pod.status == "Exited"
    pod.remove(force=True, timeout=0)
    assert not is_there(pid)
    assert created_nothing(engine)
