"""container cleanup (podman-container-cleanup(1)): what a killed monitor leaves of a container."""

from __future__ import annotations

import pytest

from pypod import Engine
from tests.cli.program import Program
from tests.facts import kill_and_wait

pytestmark = pytest.mark.root


def test_the_addresses_that_a_killed_monitor_keeps(engine: Engine, busybox: str) -> None:
    pypod = Program(engine.layout.root)
    box = engine.containers.run(["sleep", "1000"], name="box", rootfs=busybox, network="bridge")
    refused = pypod("container", "cleanup", "box")
    words = f"failed to clean up container {box.id}: container {box.id} is running or paused, refusing to clean up"
    assert (refused.returncode, refused.stderr) == (125, f"Error: {words}: container state improper\n")
    state = box.state()
    kill_and_wait(state.supervisor_pid)
    kill_and_wait(state.pid)
    assert box.addresses != {}
    assert pypod.ok("container", "cleanup", "box") == "box\n"
    assert box.addresses == {}
    assert pypod.ok("container", "cleanup", "--rm", "--all") == f"{box.id}\n"
    assert not engine.containers.exists(box.id)


def test_a_running_exec_stays(engine: Engine, busybox: str) -> None:
    pypod = Program(engine.layout.root)
    box = engine.containers.run(["sleep", "1000"], name="box", rootfs=busybox, network="none")
    session = box.spawn(["sleep", "1000"])
    refused = pypod("container", "cleanup", "--exec", session, "box")
    assert (refused.returncode, "as it is running" in refused.stderr) == (125, True)
    assert box.inspect()["ExecIDs"] == [session]
