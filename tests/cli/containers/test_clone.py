"""container clone (podman-container-clone(1))."""

from __future__ import annotations

import pytest

from pypod import Engine, WrongState
from tests.cli.program import Program

pytestmark = pytest.mark.root

KEPT = (
    "{{.Config.Hostname}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.NetworkMode}} {{.Config.Env}} "
    "{{.Config.Labels}} {{.HostConfig.Memory}} {{.HostConfig.PortBindings}} {{.Config.StopSignal}} {{.Config.Cmd}} "
    "{{.Mounts}}"
)


@pytest.fixture
def pypod(engine: Engine) -> Program:
    return Program(engine.layout.root)


def test_everything_is_the_same(pypod: Program, busybox: str) -> None:
    words = ("--hostname", "h", "--read-only", "-e", "A=b", "-l", "c=d", "-m", "64m", "-v", "data:/data")
    network = ("--network", "bridge", "-p", "8080:80")
    pypod.ok("create", "--name", "one", *words, *network, "--rootfs", busybox, "sleep", "1000")
    made = pypod.ok("container", "clone", "one").strip()
    assert pypod.ok("inspect", "-f", "{{.Id}} {{.State.Status}}", "one-clone").split() == [made, "created"]
    assert pypod.ok("inspect", "-f", KEPT, "one-clone") == pypod.ok("inspect", "-f", KEPT, "one")
    pypod.ok("rm", "one", "one-clone")
    pypod.ok("volume", "rm", "data")


def test_it_runs_with_files_of_its_own(pypod: Program, engine: Engine, busybox: str) -> None:
    one = engine.containers.run(["sleep", "1000"], name="one", rootfs=busybox, network="none")
    one.exec(["touch", "/written"])
    pypod.ok("container", "clone", "--run", "--cpus", "0.5", "one", "two")
    assert pypod("exec", "two", "test", "-e", "/written").returncode == 1
    assert pypod.ok("inspect", "-f", "{{.HostConfig.NanoCpus}}", "two") == "500000000\n"


def test_the_original_that_cannot_be_destroyed(pypod: Program, engine: Engine, busybox: str) -> None:
    """Then there is no clone, either."""
    one = engine.containers.run(["sleep", "1000"], name="one", rootfs=busybox, network="none")
    refused = pypod("container", "clone", "--destroy", "one")
    assert (refused.returncode, "it is running" in refused.stderr) == (125, True)
    assert [each.name for each in engine.containers.list(all=True)] == ["one"]
    pypod.ok("container", "clone", "--destroy", "--force", "one", "two")
    assert [each.name for each in engine.containers.list(all=True)] == ["two"]
    with pytest.raises(WrongState):
        engine.containers.get("two").exec(["true"])
    assert not engine.containers.exists(one.id)


def test_into_a_pod_and_out_of_the_network(pypod: Program, engine: Engine, busybox: str) -> None:
    pod = engine.pods.create("group", network="none", volumes=["/usr:/given:ro"])
    one = engine.containers.create(
        ["sleep", "1000"], name="one", rootfs=busybox, hostname="h", network="bridge", ports=["8080:80"]
    )
    member = one.clone("member", pod=pod)
    member.start()
    assert member.namespaces()["net"] == pod.infra.namespaces()["net"]
    assert member.exec(["test", "-d", "/given/bin"]).exit_code == 0
    assert (member.ports, member.pod) == ((), pod)
    assert one.pod is None
    assert member.clone().pod == pod
    refused = pypod("container", "clone", pod.infra.name)
    assert (refused.returncode, "is the infra of a pod" in refused.stderr) == (125, True)
