"""A member of a shared PID namespace that signals, traces and reads the infra or its siblings."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from tests.integration.inside import Report, execute

pytestmark = pytest.mark.root


def error_of_opening(path: str) -> int:
    """Return the errno of opening a program for writing once nothing executes it any more; 0 if it can be opened."""
    end_s = time.monotonic() + 10
    while True:
        try:
            os.close(os.open(path, os.O_WRONLY))
        except OSError as error:
            # a process that is exiting still has it for a moment, and infras of other pods execute the same file
            if error.errno != errno.ETXTBSY or time.monotonic() > end_s:
                return error.errno
            time.sleep(0.02)
        else:
            return 0


@pytest.mark.parametrize("cap_add", [[], ["SYS_PTRACE"]])
def test_the_infra_as_pid_1_of_a_shared_pid_namespace(box, cap_add: list[str]) -> None:
    """The kernel protects it from SIGKILL sent inside (pid_namespaces(7)); the rest is up to us."""
    pod = box.engine.pods.create(share="ipc,net,uts,pid")
    member = box.stay(pod=pod, cap_add=cap_add)
    infra = pod.infra.state()
    status = Path(f"/proc/{infra.pid}/status").read_text()
    assert [line.split()[1] for line in status.splitlines() if line.startswith("Cap")] == ["0" * 16] * 5
    outcomes = Report(execute(member, "/probe", "peek", "1")).outcomes
    assert outcomes["write exe"] == ("ETXTBSY" if cap_add else "EACCES")
    for signal in ("SIGKILL", "SIGTERM", "SIGSTOP"):
        assert outcomes[signal] == "ok", "sent without effect"
    if not cap_add:
        refused = {name: value for name, value in outcomes.items() if not name.startswith("SIG")}
        assert set(refused.values()) <= {"EACCES", "EPERM"}, refused
    else:
        assert execute(member, "ls", "-A", "/proc/1/root").split() == ["dev"], "nothing of the host is visible"
    time.sleep(0.05)
    again = pod.infra.state()
    assert (again.running, again.pid, again.start_time) == (True, infra.pid, infra.start_time)
    assert "T" not in Path(f"/proc/{infra.pid}/stat").read_text().rpartition(")")[2].split()[0]
    assert pod.status == "Running"
    # with ptrace a member can open its program, pass the descriptor on, and wait until the program no longer runs
    program = os.open(f"/proc/{infra.pid}/exe", os.O_PATH)
    try:
        pod.stop(timeout=0)
        assert not pod.infra.state().running, "SIGTERM from the host still ends it"
        assert error_of_opening(f"/proc/self/fd/{program}") == errno.EROFS
    finally:
        os.close(program)


def test_siblings_in_a_shared_pid_namespace(box) -> None:
    """As documented, and as in podman: root may kill a sibling, but reads nothing of it without the right to trace."""
    pod = box.engine.pods.create(share="ipc,net,uts,pid")
    victim, attacker = box.stay(pod=pod, cap_add=["NET_ADMIN"]), box.stay(pod=pod)
    pids = [int(line) for line in execute(attacker, "sh", "-c", "cd /proc; ls -d [0-9]*").split()]
    (inside,) = [pid for pid in pids if _is(victim.state().pid, pid)]
    outcomes = Report(execute(attacker, "/probe", "peek", str(inside))).outcomes
    read = {name: value for name, value in outcomes.items() if not name.startswith("SIG")}
    assert set(read.values()) <= {"EACCES", "EPERM"}, read
    assert victim.wait(10) == 137, "signals reach a sibling that is not PID 1"
    assert pod.infra.state().running
    assert attacker.state().running


def _is(pid: int, inside: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    return status.split("NSpid:")[1].split("\n")[0].split()[-1] == str(inside)


def test_without_a_shared_pid_namespace_there_is_nobody_to_be_seen(box) -> None:
    pod = box.engine.pods.create()
    victim, attacker = box.stay(pod=pod), box.stay(pod=pod)
    execute(attacker, "kill", "-9", "-1", check=False)
    assert (victim.state().running, pod.infra.state().running) == (True, True)
    seen = execute(attacker, "sh", "-c", "ls -d /proc/[0-9]*").split()
    assert "/proc/1" in seen
    assert len(seen) <= 4
