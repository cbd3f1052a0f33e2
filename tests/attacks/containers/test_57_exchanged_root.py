"""A container that shares another's root swaps /proc, /sys or /dev while that one starts (CVE-2023-27561's class)."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypod.errors import LaunchFailed
from tests.attacks.protection import gaps
from tests.facts import wait_until
from tests.integration.inside import written

pytestmark = pytest.mark.root


@pytest.mark.parametrize("name", ["proc", "sys", "dev"])
def test_exchanged_while_another_starts(box, own_rootfs: Path, full: bool, name: str) -> None:
    (own_rootfs / "real").mkdir()
    attacker = box.engine.containers.run(
        ["sh", "-c", f"echo watching; /probe swap 3600 /shared/{name} /shared/real"],
        rootfs=box.rootfs,
        volumes=[f"{own_rootfs}:/shared"],
    )
    wait_until(lambda: "watching" in written(attacker))
    outcomes = {"started": 0, "refused": 0}
    for _ in range(1000 if full else 40):
        victim = box.engine.containers.create(["/probe", "stay"], rootfs=str(own_rootfs), overlay=False)
        try:
            victim.start()
            outcomes["started"] += 1
            attacker.pause()  # the list of mounts is produced path by path, not atomically
            found = gaps(victim.state().pid)
            attacker.unpause()
            # a name can be moved after the start; a mount must not appear without its masks anywhere
            assert [gap for gap in found if not gap.startswith(f"/{name} is no ")] == []
        except LaunchFailed:
            outcomes["refused"] += 1
        finally:
            victim.remove(force=True, timeout=0)
    assert attacker.state().running, written(attacker)
    assert all(outcomes.values()), outcomes
