"""Init containers: run to their end before the other members, each time or once, and what their failure stops."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypod import Engine, InvalidSpec, NoSuchContainer, WrongState

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    directory = tmp_path / "shared"
    directory.mkdir()
    directory.chmod(0o777)
    return directory


def write(line: str) -> list[str]:
    return ["sh", "-c", f"sleep 0.05; echo {line} >> /shared/log"]


def test_they_run_one_after_the_other_before_the_rest(engine: Engine, busybox: str, shared: Path) -> None:
    pod = engine.pods.create("p")
    volumes = [f"{shared}:/shared"]
    web = pod.create_container(
        ["sh", "-c", "echo web >> /shared/log; exec sleep 1000"], rootfs=busybox, volumes=volumes
    )
    first = pod.create_container(write("first"), rootfs=busybox, volumes=volumes, init_container="always")
    second = pod.create_container(write("second"), rootfs=busybox, volumes=volumes, init_container="once")
    pod.start()
    assert web.exec(["cat", "/shared/log"]).stdout.decode().split()[:2] == ["first", "second"]
    assert (first.state().exit_code, pod.status) == (0, "Running")
    with pytest.raises(NoSuchContainer):
        second.record()
    pod.start()  # everything runs: there is nothing to initialize
    pod.restart(timeout=0)  # as in podman, without them
    pod.stop(timeout=0)
    pod.start()
    assert web.exec(["cat", "/shared/log"]).stdout.decode().split().count("first") == 2


def test_one_that_fails(engine: Engine, busybox: str) -> None:
    pod = engine.pods.create("p")
    web = pod.create_container(SLEEP, rootfs=busybox)
    bad = pod.create_container(["sh", "-c", "exit 4"], rootfs=busybox, init_container="always")
    never = pod.create_container(["true"], rootfs=busybox, init_container="always")
    with pytest.raises(WrongState, match=f"init container {bad.id} exited with code 4"):
        pod.start()
    assert pod.infra.state().running
    assert [one.state().status for one in (web, bad, never)] == ["created", "exited", "created"]


def test_what_is_refused(engine: Engine, busybox: str) -> None:
    with pytest.raises(InvalidSpec, match="must specify pod value with init-ctr"):
        engine.containers.create(["true"], rootfs=busybox, init_container="always")
    pod = engine.pods.create("p")
    with pytest.raises(InvalidSpec, match="init-ctr value must be 'always' or 'once'") as caught:
        pod.create_container(["true"], rootfs=busybox, init_container="bogus")
    assert caught.value.argument == "--init-ctr"
    pod.run(SLEEP, rootfs=busybox)
    with pytest.raises(InvalidSpec, match="cannot add init-ctr to a running pod"):
        pod.create_container(["true"], rootfs=busybox, init_container="once")


def test_the_start_is_explained_in_this_order(engine: Engine, busybox: str) -> None:
    pod = engine.pods.create("p")
    web = pod.create_container(SLEEP, rootfs=busybox)
    first = pod.create_container(["true"], rootfs=busybox, init_container="always")
    told = str(pod.explain())
    assert told.index(first.id) < told.index(web.id)
