"""A storage with one object of each kind, for the commands that read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pypod import Engine
from pypod.api.container import Container
from pypod.api.pod import Pod
from tests.cli.program import Program
from tests.facts import kill_and_wait


class World:
    """Pods and containers by name, and the program that lists them.

    mipod is a running pod with a member, web; bare is a pod without infra; done exited with 3, idle was never started,
    and the end of ghost went unobserved.
    """

    def __init__(self, engine: Engine, rootfs: str) -> None:
        self.engine = engine
        self.pypod = Program(engine.layout.root)
        self.pods: dict[str, Pod] = {
            "mipod": engine.pods.create(
                "mipod", labels={"tier": "front", "empty": ""}, hostname="mihost", infra_name="a-infra"
            ),
            "bare": engine.pods.create("bare", infra=False, share=""),
        }
        run, create = engine.containers.run, engine.containers.create
        self.containers: dict[str, Container] = {
            "web": run(
                ["sh", "-c", "exec sleep 1000", "a b"],
                name="web",
                pod="mipod",
                rootfs=rootfs,
                labels={"app": "web", "odd": "<a&b>"},
                volumes=["/usr:/mnt/usr:ro"],
                tmpfs=["/scratch:size=1m,noexec"],
                environment={"A": "b"},
                cap_add=["NET_ADMIN"],
                cap_drop=["CHOWN"],
            ),
            "done": run(
                ["sh", "-c", r"echo out; echo err >&2; printf '\000\377bin'; exit 3"], name="done", rootfs=rootfs
            ),
            "idle": create(
                ["echo", "hi"], name="idle", rootfs=rootfs, entrypoint=["sh", "-c"], user="33:33", labels={"app": "x"}
            ),
            "ghost": run(["sleep", "1000"], name="ghost", rootfs=rootfs),
        }
        infra = self.pods["mipod"].infra
        assert infra is not None
        self.containers[infra.name] = self.infra = infra
        self.containers["done"].wait(timeout=10)
        state = self.containers["ghost"].state()
        kill_and_wait(state.supervisor_pid)
        kill_and_wait(state.pid)
        assert not self.containers["ghost"].state().exit_code_known

    def listed(self, *words: str) -> list[str]:
        """Return the names that a listing shows, in its order."""
        return self.pypod.ok(*words, "--format", "{{.Names}}").split()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, busybox: str) -> Iterator[World]:
    with Engine(str(tmp_path_factory.mktemp("world") / "storage")) as engine:
        try:
            yield World(engine, busybox)
        finally:
            for pod in engine.pods.list():
                pod.remove(force=True, timeout=0)
            for container in engine.containers.list(all=True):
                container.remove(force=True, timeout=0)
