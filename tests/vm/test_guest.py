"""A selection of the suite in a guest with systemd and only cgroups v2: as root, and as an ordinary user.

With --full everything that can run there, in parts: as root, and the users' tests in a delegated session.

The guest is the one that $PYPOD_VM names, a directory with a program ``run`` that takes the arguments of tests/vm/run
and whose guest has pytest, hypothesis and urllib3; otherwise the one that tests/vm/build.sh built. With
$PYPOD_VM_BUILD_S building one may take that many seconds.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import for_users

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NEEDED = ("pypod", "pypod.egg-info", "pause", "tests", "docs", "examples", "README.md", "setup.cfg", "pyproject.toml")
TIMEOUT_S = 300
WHOLE_TIMEOUT_S = 3600
IMAGES = "mkdir -p ~/.cache && ln -s /share/images ~/.cache/pypod-test-images"
# Debian's kernel has these, but does not load them for a test that checks for them first.
MODULES = "modprobe -qa sctp ipvlan macvlan 8021q || :"
PYTEST = "cd /share && exec python3 -m pytest -q -rs -p no:cacheprovider -o addopts=--import-mode=importlib"
# /tmp is in the guest's memory, as in Debian 13, and would fill up; an ordinary user may not write to /share
PLACES = "TMPDIR=/var/tmp HYPOTHESIS_STORAGE_DIRECTORY=/var/tmp/hypothesis"
ENVIRONMENT = f"{PLACES} PYTHONPATH=/share PYTHONDONTWRITEBYTECODE=1"
OF_USERS = sorted({f"tests/{one.partition('::')[0]}" for one in for_users(full=True)[0]})
# user: logged in, as over ssh, in a cgroup that is not delegated; delegated: in a scope of the user's systemd
SELECTION = {
    "root": (
        (),
        (
            "tests/kernel/test_cgroups.py",
            "tests/integration/containers/test_limits.py",
            "tests/attacks/containers/test_30_hogs.py",
            "tests/integration/networks/test_user_networks.py::test_pasta_stays",
        ),
    ),
    "user": (("-u",), ("tests/integration/users/test_user_scope.py",)),
    "delegated": (("-d",), ("tests/integration/users/test_user_scope.py",)),
}
# Tests that need nftables with NAT or AppArmor, which User-Mode Linux's kernel lacks: these run on Debian's own kernel.
NETWORKS = (
    (
        "tests/attacks/host/test_58_subnets_of_two_storages.py",
        "tests/attacks/host/test_69_name_server.py",
        "tests/faults/test_51_port_taken.py",
        "tests/faults/test_52_many_cycles.py",
        "tests/faults/test_70_chaos.py",
        "tests/kernel/test_firewall.py",
        "tests/integration/networks/test_names.py",
        "tests/integration/networks/test_ports.py",
        "tests/integration/networks/test_resolv_conf.py",
    ),
    (
        "tests/cli/containers/test_port.py",
        "tests/integration/networks/test_addresses.py",
        "tests/integration/networks/test_connections.py",
        "tests/integration/networks/test_networks_apart.py",
        "tests/integration/networks/test_user_networks.py",
    ),
    (
        "tests/integration/users/test_apparmor.py",
        "tests/integration/networks/test_network_faults.py",
        "tests/oracle/test_ports_oracle.py",
    ),
)
WITHOUT = tuple(f"--ignore={file}" for part in NETWORKS for file in part)
AS_ROOT = ("kernel", "cli", "oracle", "integration", "attacks", "faults")
WHOLE = {
    **{f"root-{name}": ((), (f"tests/{name}", *WITHOUT)) for name in AS_ROOT},
    **{f"networks-{number}": ((), files) for number, files in enumerate(NETWORKS)},
    "users": (("-d",), ("--as-user", "--full", *OF_USERS)),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "part" in metafunc.fixturenames:
        metafunc.parametrize("part", WHOLE if metafunc.config.getoption("--full") else SELECTION)


@pytest.fixture(scope="session")
def program() -> str:
    """Return the program that runs a command in a guest."""
    given = os.environ.get("PYPOD_VM")
    if given:
        return f"{given}/run"
    for tool in ("debootstrap", "mke2fs"):
        if shutil.which(tool) is None:
            pytest.skip(f"guest: {tool} is not installed")
    if subprocess.run([HERE / "build.sh", "--if-there"], stdout=subprocess.DEVNULL, check=False).returncode != 0:
        _build(float(os.environ.get("PYPOD_VM_BUILD_S") or 0))
    return str(HERE / "run")


def _build(seconds: float) -> None:
    if not seconds or os.geteuid() != 0:
        pytest.skip("guest: none exists: set PYPOD_VM, or run tests/vm/build.sh as root, which takes some minutes")
    command = ["timeout", "--kill-after=5", str(seconds), HERE / "build.sh"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 124:
        pytest.skip(f"guest: it could not be built in {seconds:g} seconds")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy everything the tests need, for the guest to share: changes here meanwhile do not matter."""
    target = tmp_path / "share"
    target.mkdir()
    leave_out = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in NEEDED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, symlinks=True, ignore=leave_out)
        else:
            shutil.copy(source, target / name)
    images = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pypod-test-images"
    (target / "images").mkdir()
    for archive in images.glob("*.oci.tar"):  # they are not built in the guest
        shutil.copy2(archive, target / "images")
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)
    return target


def _left_out() -> list[str]:
    """Return options that deselect the tests of left_out.txt, which cannot run in the guest."""
    lines = (HERE / "left_out.txt").read_text().splitlines()
    return [f"--deselect=tests/{line.partition(' # ')[0].strip()}" for line in lines if line and line[0] != "#"]


def _native() -> str:
    """Return the engine that runs Debian's own kernel here: kvm on a processor with hardware virtualisation."""
    modules = any(Path("/sys/module", name).exists() for name in ("kvm_intel", "kvm_amd"))
    return "kvm" if modules and os.access("/dev/kvm", os.W_OK) else "tcg"


def test_in_a_guest(part: str, program: str, copy: Path) -> None:
    options, words = {**SELECTION, **WHOLE}[part]
    limit = WHOLE_TIMEOUT_S if part in WHOLE else TIMEOUT_S
    environment = dict(os.environ)
    if part.startswith("networks"):
        # one processor and no mitigations: under emulation both are several times slower
        environment = {"VM_ENGINE": _native(), "VM_CPUS": "1", "VM_APPEND": "mitigations=off", **environment}
    script = f"{IMAGES}; {MODULES}; export {ENVIRONMENT}; {PYTEST} {shlex.join([*words, *_left_out()])}"
    command = [program, *options, "-t", str(limit), str(copy), "sh", "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit + 60, check=False)
    print(done.stdout[-8000:])
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "apparmor: " not in done.stdout, "Debian's kernel has AppArmor, and tests that need it run on no other"
