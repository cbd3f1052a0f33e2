"""Capabilities that a process could inherit or must not have (CVE-2022-29162, CVE-2022-27650)."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from pypod.kernel.capabilities import bounding_set, mask
from tests.integration.inside import Report, execute

pytestmark = pytest.mark.root

# chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service sys_chroot setfcap: containers.conf(5)
PODMANS_ELEVEN = 0x800405FB
NET_ADMIN, CHOWN = 1 << 12, 1 << 0

both = pytest.mark.parametrize("how", ["run", "exec"])


def sets(bounding: int, effective: int) -> dict[str, int]:
    return {"Inh": 0, "Prm": effective, "Eff": effective, "Bnd": bounding, "Amb": 0}


@both
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, sets(PODMANS_ELEVEN, PODMANS_ELEVEN), id="default"),
        pytest.param({"cap_add": ["net_admin"]}, sets(*[PODMANS_ELEVEN | NET_ADMIN] * 2), id="added"),
        pytest.param({"cap_drop": ["CAP_CHOWN"]}, sets(*[PODMANS_ELEVEN & ~CHOWN] * 2), id="dropped"),
        pytest.param({"cap_drop": ["all"]}, sets(0, 0), id="none"),
        pytest.param({"cap_drop": ["all"], "cap_add": ["chown"]}, sets(CHOWN, CHOWN), id="one"),
        pytest.param({"user": "1001"}, sets(PODMANS_ELEVEN, 0), id="user"),
        pytest.param({"user": "alice"}, sets(PODMANS_ELEVEN, 0), id="name"),
        pytest.param({"user": "1001", "privileged": True}, sets(mask(bounding_set()), 0), id="privileged-user"),
        pytest.param({"privileged": True}, sets(*[mask(bounding_set())] * 2), id="privileged"),
    ],
)
def test_capability_sets(box, how: str, options: dict, expected: dict[str, int]) -> None:
    assert box.report(how, **options).capabilities == expected


def test_capabilities_that_the_caller_could_inherit_stay_outside(box) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv (Debian: util-linux) is not installed")
    command = [
        "setpriv",
        "--inh-caps",
        "+net_raw,+sys_admin",
        "--ambient-caps",
        "+net_raw",
        sys.executable,
        "-m",
        "pypod",
    ]
    command += ["--root", box.engine.layout.root, "run", "--rm", "--rootfs", f"{box.rootfs}:O", "/probe"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert Report(done.stdout).capabilities == sets(PODMANS_ELEVEN, PODMANS_ELEVEN)


def test_a_privileged_command_in_an_ordinary_container(box) -> None:
    container = box.stay()
    report = Report(execute(container, "/probe", privileged=True))
    assert report.capabilities == sets(*[mask(bounding_set())] * 2)
    assert report.status["Seccomp"] == "0"
    assert Report(execute(container, "/probe")).capabilities == sets(PODMANS_ELEVEN, PODMANS_ELEVEN)


@both
def test_no_new_privileges(box, how: str) -> None:
    assert box.report(how).status["NoNewPrivs"] == "0"
    report = box.report(how, security_opt=["no-new-privileges"], user="alice")
    assert report.status["NoNewPrivs"] == "1"
    assert report.status["Seccomp"] == "2"
    assert report.capabilities == sets(PODMANS_ELEVEN, 0)
