"""A process that joins a container, inspected before its exec: root, descriptors, memory (CVE-2016-9962)."""

from __future__ import annotations

import pytest

from tests.attacks.attackers import begin, conclude, number

pytestmark = pytest.mark.root


def test_who_enters_cannot_be_looked_into(box, full: bool) -> None:
    """Until its exec, the entering process is not accessible to the container's root."""
    host_path = f"{box.engine.layout.root}/pypod.db".lstrip("/")
    attacker = box.engine.containers.run(["/probe", "watch", host_path], rootfs=box.rootfs)
    begin(attacker)
    for _ in range(number(full, 300, 3000)):
        attacker.exec(["/bin/true"])
    report = conclude(attacker)
    assert int(report.one("looked")) > 300
    assert {name: values for name, values in report.values.items() if name.startswith(("saw", "reached"))} == {}


def test_who_starts_a_sibling_cannot_be_looked_into(box, full: bool) -> None:
    host_path = f"{box.engine.layout.root}/pypod.db".lstrip("/")
    pod = box.engine.pods.create(share="ipc,net,uts,pid")
    attacker = pod.run(["/probe", "watch", host_path], rootfs=box.rootfs)
    begin(attacker)
    for _ in range(number(full, 60, 600)):
        box.run("/bin/true", pod=pod)
    report = conclude(attacker)
    assert int(report.one("looked")) > 60
    assert {name: values for name, values in report.values.items() if name.startswith(("saw", "reached"))} == {}
