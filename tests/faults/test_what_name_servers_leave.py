"""Files in the name server's directory that belong to no running server, of a killed one or of unknown origin."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pypod import Engine
from pypod.engine.containers.collect import repair
from pypod.engine.networks.names import handover, service
from tests.cli.program import Program
from tests.facts import kill_and_wait, wait_until

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")


def test_they_are_told_of_and_go(engine: Engine) -> None:
    directory = Path(engine.layout.names)
    directory.mkdir()
    (directory / ("a" * 64)).touch()
    os.mknod(directory / "socket", 0o140600)
    (directory / "a note").touch()
    (directory / "link").symlink_to("/etc/passwd")
    (directory / "tree").mkdir()
    (directory / "tree" / "file").touch()
    (directory / ("b" * 64)).symlink_to("/etc/passwd")
    there = sorted(map(str, directory.iterdir()))
    told = Program(engine.layout.root).ok("system", "check")
    assert all(f"left behind: {path}\n" in told for path in there)
    assert sorted(map(str, directory.iterdir())) == there
    assert {f"removed {path}" for path in there} <= set(repair(engine))
    assert not directory.exists() or not list(directory.iterdir())
    assert Path("/etc/passwd").exists()


def test_those_of_a_server_that_runs_stay(engine: Engine, busybox: str, own_network) -> None:
    network = engine.networks.create("n")
    container = engine.containers.run(SLEEP, rootfs=busybox, network="n")
    server = service.info(engine)
    assert server is not None
    assert server.networks == (network.id,)
    assert service.left_behind(engine) == []
    assert service.remove_left_behind(engine) == []
    assert service.info(engine) == server
    kill_and_wait(server.pid)
    left = {str(Path(engine.layout.names, name)) for name in (network.id, handover.SOCKET)}
    assert set(service.left_behind(engine)) == left
    container.remove(force=True, timeout=0)
    network.remove()
    repair(engine)
    assert service.left_behind(engine) == []
    wait_until(lambda: service.info(engine) is None)
