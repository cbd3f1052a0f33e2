"""A container that overwrites the program that enters it, through /proc/self/exe (CVE-2019-5736)."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pypod.kernel.programs import DIRECTORY
from tests.attacks.attackers import begin, conclude, number
from tests.integration.inside import execute, written

pytestmark = pytest.mark.root


def digests(engine) -> dict[str, str]:
    """Return digests of what a container might overwrite: our programs, their running copies, and the interpreter."""
    paths = [*sorted(Path(DIRECTORY).iterdir()), Path(sys.executable).resolve()]
    paths += [Path(engine.programs.executable(name)) for name in ("launch", "monitor")]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def tempt(attacker, act: Callable[[], object], times: int) -> None:
    """Repeat what the attacker waits for, and again if it was never scheduled (on a single processor)."""
    for _ in range(20):
        for _ in range(times):
            act()
        if "held" in written(attacker):
            return


def test_nobody_can_keep_us_from_executing_our_programs(box) -> None:
    """A descriptor open for writing makes execution fail with ETXTBSY, even though the seals prevent writes."""
    if tuple(map(int, os.uname().release.split(".")[:2])) < (6, 0):
        pytest.skip("files in memory cannot be made immutable before Linux 6.0")
    for name in ("launch", "monitor"):
        with pytest.raises(PermissionError):
            os.open(box.engine.programs.executable(name), os.O_WRONLY)


@pytest.mark.parametrize("privileged", [False, True])
def test_no_program_of_ours_can_be_overwritten_by_who_is_executed_into(box, full: bool, privileged: bool) -> None:
    """With /proc/self/exe as its command, the container executes the program that enters it."""
    before = digests(box.engine)
    attacker = box.stay(privileged=privileged)
    attacker.remove(force=True, timeout=0)
    attacker = box.engine.containers.run(["/probe", "overwrite"], rootfs=box.rootfs, privileged=privileged)
    begin(attacker)
    execute(attacker, "sh", "-c", 'printf "#!/proc/self/exe\\n" > /script; chmod 755 /script')
    for command in (["/proc/self/exe"], ["/script"]):
        tempt(attacker, lambda command=command: attacker.exec(command), number(full, 100, 1000))
    report = conclude(attacker)
    assert report.all("held"), "the attacker must have opened the program at least once"
    assert report.all("wrote to") == []
    assert digests(box.engine) == before


def test_no_program_of_ours_can_be_overwritten_by_a_sibling_in_the_same_pid_namespace(box, full: bool) -> None:
    before = digests(box.engine)
    pod = box.engine.pods.create(share="ipc,net,uts,pid")
    attacker = pod.run(["/probe", "overwrite"], rootfs=box.rootfs, cap_add=["SYS_PTRACE"])
    begin(attacker)
    tempt(attacker, lambda: box.run("/proc/self/exe", pod=pod, check=False), number(full, 40, 400))
    report = conclude(attacker)
    assert report.all("held")
    assert report.all("wrote to") == []
    assert digests(box.engine) == before


def test_a_command_that_is_ours_does_no_harm(box) -> None:
    """Executed inside by the container itself, the program that enters finds no plan and exits."""
    container = box.stay()
    for _ in range(5):
        assert container.exec(["/proc/self/exe"], timeout=10).exit_code in (0, 125)
    assert container.state().running
